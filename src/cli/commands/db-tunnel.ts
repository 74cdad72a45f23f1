import { once } from "node:events";
import { TidemarkError } from "../../core/errors.ts";
import type { CommandCall, CommandSpec } from "../command.ts";
import { resolveUrl } from "../login.ts";
import { regionsReply, variablesReply } from "../replies.ts";
import { route } from "../transport.ts";

const DEFAULT_BIND = "127.0.0.1";
const DEFAULT_PORT = 10_000;
const PORT_LAST = 65_535;

export const dbTunnel: CommandSpec = {
  name: "db-tunnel",
  group: "Databases",
  summary: "Reach a database through an encrypted tunnel",
  details:
    "Listens on this machine and carries each connection through the platform's SSH gateway to the database. Your SSH key must be known to the platform " +
    "(keys-add). The gateway's own key is checked against what the platform's API says. It ends on Ctrl+C, and connects again by itself when the connection breaks.",
  arguments: [{ name: "<database>", summary: "Variable that holds the database's URI, or the URI itself" }],
  options: [
    { flags: "-p, --port <port>", summary: `Local port; the next free one when it is taken (${DEFAULT_PORT})` },
    { flags: "-b, --bind <address>", summary: `Local address (${DEFAULT_BIND})` },
    { flags: "-i, --identity <file>", summary: "Private key to log in with, instead of the agent's or ~/.ssh/id_*" },
  ],
  examples: [
    "--app my-app db-tunnel SCALINGO_POSTGRESQL_URL",
    "--app my-app db-tunnel --port 5433 --identity ~/.ssh/work DATABASE_URL",
  ],
  async run(call) {
    const bind = call.option("bind") ?? DEFAULT_BIND;
    const port = readPort(call.option("port"));
    const destination = await findDestination(call, call.argument(0));
    const people = call.quieterOutput({ peopleOnStderr: true, silent: false });
    people.result(`Building tunnel to ${destination.host}:${destination.port}`);
    const tunnel = await open(call, { bind, port, destination });
    try {
      const address = `${bind.includes(":") ? `[${bind}]` : bind}:${tunnel.port}`;
      people.result("You can access your database on:");
      call.output.result(address);
      call.output.json({ tunnel: { address, bind, port: tunnel.port, destination } });
      await once(call.signal, "abort");
      people.result("interrupt catched, aborting…");
    } finally {
      await tunnel.close();
    }
    call.signal.throwIfAborted();
  },
};

async function open(
  call: CommandCall,
  target: { bind: string; port: number; destination: { host: string; port: number } },
) {
  // Loaded only here: SSH takes longer to load than most commands to run.
  const [{ findIdentities }, { readGateway }, { openTunnel }] = await Promise.all([
    import("../ssh-identity.ts"),
    import("../ssh-session.ts"),
    import("../tunnel.ts"),
  ]);
  const { host, port } = target.destination;
  const url = await resolveUrl(call.loginFlags, call.settings);
  const { value } = await call.transport(url)({ method: "GET", path: "/v1/regions", decode: regionsReply });
  return await openTunnel({
    ...target,
    gateway: readGateway(value.regions.find((region) => region.default === true) ?? value.regions[0]),
    identities: await findIdentities({
      file: call.option("identity"),
      agentSocket: call.settings.sshAgentSocket,
      userHome: call.settings.userHome,
      prompt: call.prompt,
    }),
    signal: call.signal,
    clock: call.clock,
    onConnect: (number) => call.output.result(`Connect to ${host}:${port} [${number}]`),
    onEnd: (number) => call.output.result(`End of connection [${number}]`),
    onFailure: (error) => call.output.error(error),
  });
}

function readPort(text: string | undefined): number {
  const port = Number(text ?? DEFAULT_PORT);
  if (Number.isInteger(port) && port >= 1 && port <= PORT_LAST) return port;
  throw new TidemarkError("usage", `"${text}" is no port: give a number from 1 to ${PORT_LAST}`);
}

/** A URI needs no app: the gateway judges it. */
async function findDestination(call: CommandCall, given: string): Promise<{ host: string; port: number }> {
  const uri = given.includes("://") ? given : await readVariable(call, given);
  const parsed = URL.parse(uri);
  if (parsed === null || parsed.hostname === "" || parsed.port === "") {
    throw new TidemarkError("usage", `"${given}" is not the URI of a database with host and port`, {
      hint: "Name the variable that holds it, such as SCALINGO_POSTGRESQL_URL.",
    });
  }
  return { host: parsed.hostname.replace(/^\[|\]$/g, ""), port: Number(parsed.port) };
}

async function readVariable(call: CommandCall, name: string): Promise<string> {
  const app = call.app();
  const client = await call.connect();
  const { value } = await client.get(`${route`/v1/apps/${app}/variables`}?aliases=false`, variablesReply);
  const found = value.variables.find((variable) => variable.name === name);
  if (found === undefined) {
    throw new TidemarkError("not_found", `no such environment variable: ${name}`, {
      hint: `See the names with: tidemark --app ${app} env`,
    });
  }
  return found.value;
}
