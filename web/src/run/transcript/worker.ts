/** Reads spans away from the page: a hundred payloads may have many megabytes. */

import { answerQuestions } from "../../parts/worker/answer";
import { readSpans } from "./read";

answerQuestions((answer: ArrayBuffer) => readSpans(answer));
