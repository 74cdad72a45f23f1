import { StringDecoder } from "node:string_decoder";
import { TidemarkError } from "../core/errors.ts";
import type { CommandLineStreams, InputStream } from "./streams.ts";

/** Longest answer: names, ids and passwords are far shorter, and a wrong file on standard input shouldn't fill the memory. */
const ANSWER_LENGTH_MAX = 4096;

/** Asks the person at the terminal. Questions go to standard error, so that standard output holds results only. */
export interface Prompt {
  /** A line that may also come through a pipe. `usage` when the input ends without one, naming `insteadOf` (a flag). */
  confirm(question: string, options: { insteadOf: string }): Promise<string>;
  /** A line typed at a terminal. `usage` when standard input is none, naming the flag that answers instead. */
  ask(question: string, options: { insteadOf: string }): Promise<string>;
  /** As `ask`, without echo. */
  askSecret(question: string, options: { insteadOf: string }): Promise<string>;
  /** The first line of standard input, for `--password-stdin`. */
  readSecretLine(): Promise<string>;
}

/** All calls end with the signal's reason when it aborts; `interrupt` is called when Ctrl+C is typed at a question without echo. */
export function createPrompt({
  streams: { stdin, stderr },
  signal,
  interrupt,
}: {
  streams: CommandLineStreams;
  signal: AbortSignal;
  interrupt: () => void;
}): Prompt {
  const requireTerminal = (question: string, insteadOf: string): void => {
    if (stdin.isTTY === true) return;
    throw new TidemarkError("usage", `Cannot ask "${question.replace(/[:\s]+$/, "")}": standard input is no terminal`, {
      hint: `Pass ${insteadOf} instead.`,
    });
  };
  return {
    async confirm(question, { insteadOf }) {
      stderr.write(question);
      const line = await readLine(stdin, { signal });
      if (stdin.isTTY !== true) stderr.write("\n");
      if (line !== undefined) return line;
      throw new TidemarkError("usage", "Nothing was typed to confirm", { hint: `Pass ${insteadOf} instead.` });
    },
    async ask(question, { insteadOf }) {
      requireTerminal(question, insteadOf);
      stderr.write(question);
      return (await readLine(stdin, { signal })) ?? "";
    },
    async askSecret(question, { insteadOf }) {
      requireTerminal(question, insteadOf);
      stderr.write(question);
      stdin.setRawMode?.(true);
      try {
        return (await readLine(stdin, { signal, editing: { interrupt } })) ?? "";
      } finally {
        stdin.setRawMode?.(false);
        stderr.write("\n");
      }
    },
    async readSecretLine() {
      const line = await readLine(stdin, { signal });
      if (line !== undefined && line !== "") return line;
      throw new TidemarkError("usage", "No password came on standard input");
    },
  };
}

/**
 * The next line, without its end; undefined at the end of the input. With `editing`, the terminal sends each key: backspace, Ctrl+U, Ctrl+C and
 * Ctrl+D are obeyed here.
 */
function readLine(
  stdin: InputStream,
  { signal, editing }: { signal: AbortSignal; editing?: { interrupt: () => void } },
): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const decoder = new StringDecoder("utf8");
    let typed: string[] = [];
    const settle = (finish: () => void): void => {
      stdin.pause();
      stdin.off("data", onData).off("end", onEnd).off("error", onError);
      signal.removeEventListener("abort", onAbort);
      finish();
    };
    const onEnd = (): void => settle(() => resolve(typed.length === 0 ? undefined : typed.join("")));
    const onError = (error: Error): void => settle(() => reject(error));
    const onAbort = (): void => settle(() => reject(signal.reason as Error)); // we abort with errors only
    const onData = (chunk: Buffer): void => {
      const keys = Array.from(decoder.write(chunk));
      for (const [index, key] of keys.entries()) {
        if (key === "\n" || key === "\r") {
          // What came behind this line answers the next question.
          const rest = keys.slice(index + (key === "\r" && keys[index + 1] === "\n" ? 2 : 1)).join("");
          settle(() => resolve(typed.join("")));
          if (rest !== "") stdin.unshift(Buffer.from(rest));
          return;
        }
        if (editing === undefined) typed.push(key);
        else if (key === "\u0003") return editing.interrupt();
        else if (key === "\u0004" && typed.length === 0) return onEnd();
        else typed = edit(typed, key);
        if (typed.length > ANSWER_LENGTH_MAX) {
          return settle(() =>
            reject(new TidemarkError("usage", `The answer is longer than ${ANSWER_LENGTH_MAX} characters`)),
          );
        }
      }
    };
    signal.throwIfAborted();
    signal.addEventListener("abort", onAbort);
    stdin.on("data", onData).on("end", onEnd).on("error", onError).resume();
    if (stdin.readableEnded) onEnd();
  });
}

function edit(typed: readonly string[], key: string): string[] {
  if (key === "\u007F" || key === "\b") return typed.slice(0, -1);
  if (key === "\u0015") return [];
  return [...typed, key];
}
