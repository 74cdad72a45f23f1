import { TidemarkError } from "../core/errors.ts";
import type { ParsedInput } from "./command-tree.ts";
import { createClient } from "./client.ts";
import type { CommandLineOptions } from "./command-line-options.ts";
import type { CommandCall } from "./command.ts";
import { resolveLogin } from "./login.ts";
import { createOutput } from "./output.ts";
import type { Output } from "./output.ts";
import { createPrompt } from "./prompt.ts";
import type { Settings } from "./settings.ts";
import { loadTimeZone } from "./time-zone.ts";
import { createTransport } from "./transport.ts";

/** Gathers what a command needs. Nothing is read or sent before the command asks for it. */
export function createCall({
  parsed,
  options,
  settings,
  output,
  json,
  signal,
  interrupt,
  endWith,
  program,
}: {
  parsed: ParsedInput;
  options: CommandLineOptions;
  settings: Settings;
  output: Output;
  json: boolean;
  signal: AbortSignal;
  interrupt: () => void;
  endWith: (exitCode: number) => void;
  program: CommandCall["program"];
}): CommandCall {
  const { streams, clock } = options;
  const option = (name: string): string | undefined => {
    const value = parsed.options[camelCase(name)];
    return typeof value === "string" ? value : undefined;
  };
  const optionalArgument = (index: number): string | undefined => {
    const value = parsed.values[index];
    return typeof value === "string" ? value : undefined;
  };
  const loginFlags = { url: option("url"), token: option("token") };
  const transport: CommandCall["transport"] = (url) =>
    createTransport({ url, userAgent: `Tidemark CLI v${options.version}`, signal });
  return {
    argument: (index) => optionalArgument(index) ?? "",
    optionalArgument,
    argumentList(index) {
      const value = parsed.values[index] ?? [];
      return typeof value === "string" ? [value] : value;
    },
    option,
    options(name) {
      const values = parsed.options[camelCase(name)];
      return Array.isArray(values) ? values.filter((value) => typeof value === "string") : [];
    },
    flag: (name) => parsed.options[camelCase(name)] === true,
    json,
    output,
    prompt: createPrompt({ streams, signal, interrupt }),
    streams,
    settings,
    loginFlags,
    clock,
    hostName: options.hostName,
    processId: options.processId,
    signal,
    local: options.local,
    program,
    app: () => option("app") ?? settings.app ?? missing("application", "app"),
    addon: () => option("addon") ?? settings.addon ?? missing("addon", "addon"),
    timeZone: () => loadTimeZone(settings.timeZone),
    async connect() {
      const login = await resolveLogin(loginFlags, settings);
      return createClient({ login, transport: transport(login.url), clock });
    },
    transport,
    quieterOutput: (change) => createOutput({ streams, json, coloursWanted: settings.coloursWanted, ...change }),
    endWith,
  };
}

/** Commander keeps `--password-stdin` as `passwordStdin`. */
function camelCase(name: string): string {
  return name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
}

function missing(what: string, flag: string): never {
  throw new TidemarkError("usage", `Unable to find the ${what} name, please use --${flag} flag.`);
}
