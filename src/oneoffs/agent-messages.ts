/**
 * What the platform and the agent inside a sandbox tell each other: one JSON value a line, over a socket that both have from the start. The agent's
 * own standard input and output carry the terminal's bytes. The platform believes nothing of what comes back beyond its shape: whoever works in the
 * sandbox can take the agent over.
 */
export type MessageToAgent =
  | { readonly kind: "start"; readonly start: AgentStart }
  | { readonly kind: "resize"; readonly columns: number; readonly rows: number }
  /** Asks the command to end; whoever sent it ends the sandbox if that takes too long. */
  | { readonly kind: "stop" };

export type MessageFromAgent =
  /** It listens where it was told to, and waits for `start`. */
  | { readonly kind: "ready" }
  /** The command has ended, and all of its output has been written. */
  | { readonly kind: "ended"; readonly exitCode: number };

/** The first message: the variables hold passwords, and an argument list can be read by others. */
export interface AgentStart {
  /** For `bash -c`. */
  readonly command: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly columns: number;
  readonly rows: number;
}

/** File descriptor of the socket in the agent. */
export const CONTROL_DESCRIPTOR = 3;

/** A message has a command and some variables; what is longer is none. */
export const MESSAGE_BYTES_MAX = 1024 * 1024;

/** Cuts a stream of text into lines; `onLine` sees each, and a line above `MESSAGE_BYTES_MAX` ends in `onOverflow`. */
export function lineReader(onLine: (line: string) => void, onOverflow: () => void): (text: string) => void {
  let rest = "";
  return (text) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    lines.forEach(onLine);
    if (rest.length > MESSAGE_BYTES_MAX) {
      rest = "";
      onOverflow();
    }
  };
}
