import { spawn } from "node:child_process";
import { join } from "node:path";
import { TOP } from "./source-files.ts";

export interface ToolOutcome {
  /** Null when a signal ended it. */
  readonly exitCode: number | null;
  /** Standard output and standard error, in the order they came. */
  readonly output: string;
}

/** Runs a tool of `node_modules/.bin` in the project's top folder and waits for it. It ends with the test, at the latest. */
export async function runTool(name: string, args: readonly string[], signal: AbortSignal): Promise<ToolOutcome> {
  const child = spawn(join(TOP, "node_modules/.bin", name), args, {
    cwd: TOP,
    signal,
    stdio: ["ignore", "pipe", "pipe"],
    // These tools start by `env node`: without this, on the machine's own Node.js.
    env: { ...process.env, PATH: `${join(TOP, "node_modules/.bin")}:${process.env.PATH}`, NO_COLOR: "1" },
  });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (output += text));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (exitCode) => resolve({ exitCode, output }));
  });
}
