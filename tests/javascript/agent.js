// An agent in JavaScript that exports OTLP as JSON, with the SDK and nothing else. Where to, and as
// whom, it learns from the environment variables that OpenTelemetry names.
"use strict";

const { SpanStatusCode } = require("@opentelemetry/api");
const { OTLPTraceExporter } = require("@opentelemetry/exporter-trace-otlp-http");
const { defaultResource, detectResources, envDetector } = require("@opentelemetry/resources");
const { BatchSpanProcessor, NodeTracerProvider } = require("@opentelemetry/sdk-trace-node");

const provider = new NodeTracerProvider({
  resource: defaultResource().merge(detectResources({ detectors: [envDetector] })),
  spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())],
});
provider.register();
const tracer = provider.getTracer("agent-in-javascript");

const asked = JSON.stringify([
  { role: "user", parts: [{ type: "text", content: "What is 1 and 2?" }] },
]);

function chat(output, more) {
  return {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "vendor",
    "gen_ai.request.model": "m-1",
    "gen_ai.request.temperature": 0.5,
    "gen_ai.input.messages": asked,
    "gen_ai.output.messages": JSON.stringify([{ role: "assistant", parts: [output] }]),
    "gen_ai.usage.input_tokens": 5,
    "gen_ai.usage.output_tokens": 2,
    ...more,
  };
}

// A millisecond apart, so that the spans have an order.
let startTime = Date.now() - 100;

function step(name, attributes, run = () => {}) {
  startTime += 1;
  tracer.startActiveSpan(name, { attributes, startTime }, (span) => {
    try {
      run(span);
    } catch (error) {
      span.recordException(error);
      span.setStatus({ code: SpanStatusCode.ERROR, message: error.message });
    } finally {
      span.end();
    }
  });
}

const agent = { "gen_ai.operation.name": "invoke_agent", "session.id": "s-1" };
step("invoke_agent helper", agent, () => {
  const call = { type: "tool_call", id: "c1", name: "add", arguments: { a: 1, b: 2 } };
  step("chat m-1", chat(call, { "gen_ai.response.finish_reasons": ["tool_calls"] }));
  const tool = { "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "add" };
  step("execute_tool add", tool, (span) => span.setAttribute("gen_ai.tool.call.result", 3));
  const streamed = { "gen_ai.response.time_to_first_chunk": 0.25 };
  step("chat m-1", chat({ type: "text", content: "It is 3." }, streamed));
  step("chat m-1", chat({ type: "text", content: "" }), () => {
    throw new RangeError("no more credit");
  });
});

provider.shutdown();
