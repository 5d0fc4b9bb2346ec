// Components in plain Node: no package is needed. The protocol is described in docs/stdio-components.md.
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

const text = { type: "string" };

const components = {
  "/node/hello": {
    description: "Greets somebody",
    input_schema: { type: "object", required: ["name"], properties: { name: text }, additionalProperties: false },
    output_schema: { type: "object", required: ["greeting"], properties: { greeting: text } },
    example: { input: { name: "Ada" }, output: { greeting: "Hello, Ada" } },
    perform: async ({ name }) => ({ greeting: `Hello, ${name}` }),
  },

  "/node/count": {
    description: "Counts slowly, and says each number",
    input_schema: { type: "object", required: ["to"], properties: { to: { type: "integer", minimum: 0 } } },
    example: { input: { to: 3 }, output: { counted: 3 } },
    perform: async ({ to }, { log, emit, signal }) => {
      for (let number = 1; number <= to; number++) {
        await sleep(100, undefined, { signal });
        log(`number ${number}`, { number });
      }
      emit("counted", { to });
      return { counted: to };
    },
  },

  "/node/charge": {
    description: "Takes money from a card, up to its limit",
    input_schema: { type: "object", required: ["amount"], properties: { amount: { type: "number" } } },
    example: { input: { amount: 20 }, output: { charged: 20 } },
    perform: async ({ amount }) => {
      if (amount > 100) {
        const details = { code: "CARD_REFUSED", data: { limit: 100 } };
        throw Object.assign(new Error(`${amount} is over the limit`), details);
      }
      return { charged: amount };
    },
  },
};

const running = new Map(); // the id of an attempt -> what aborts it

const send = (message) => process.stdout.write(JSON.stringify(message) + "\n");

async function perform({ id, component, input, context }) {
  const aborter = new AbortController();
  running.set(id, aborter);
  const tools = {
    context,
    signal: aborter.signal,
    log: (message, fields = {}, level = "info") => send({ type: "log", id, level, message, fields }),
    emit: (event_type, payload = {}) => send({ type: "emit", id, event_type, payload }),
  };
  try {
    const output = await components[component].perform(input, tools);
    send({ type: "result", id, output });
  } catch ({ code = "COMPONENT_FAILED", message, data }) {
    send({ type: "error", id, error: { code: String(code), message, data } });
  } finally {
    running.delete(id);
  }
}

const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const message = JSON.parse(line);
  if (message.type === "hello") {
    send({ type: "ready", components: Object.entries(components).map(([path, one]) => ({ path, ...one })) });
  } else if (message.type === "perform") {
    perform(message);
  } else if (message.type === "cancel") {
    running.get(message.id)?.abort();
  }
});
lines.on("close", () => process.exit()); // the worker is gone
