/** The worker's side of questions and answers. The page's side is `ask.ts`. */

export interface Question {
  number: number;
  question: never;
}

export type Answer<A> = { number: number; answer: A } | { number: number; failure: string };

/** Answer every question of the page with what a function returns or throws. */
export function answerQuestions(answer: (question: never) => unknown): void {
  self.onmessage = (event: MessageEvent<Question>) => {
    const { number, question } = event.data;
    try {
      self.postMessage({ number, answer: answer(question) });
    } catch (error) {
      self.postMessage({ number, failure: error instanceof Error ? error.message : String(error) });
    }
  };
}
