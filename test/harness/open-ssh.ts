import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { access, stat, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { pickText } from "./pick.ts";
import { freePorts, type Platform, waitFor } from "./platform.ts";
import type { CleanUp } from "./temp-folder.ts";

const run = promisify(execFile);

/** False, or why tests with OpenSSH's client are skipped on this machine. */
export const openSshMissing: string | false = await access("/usr/bin/ssh").then(
  () => false,
  () => "OpenSSH's client is not installed (package openssh-client)",
);

/** Makes a key pair without a passphrase in the folder; the paths of both files. */
export async function makeKeyPair(folder: string, type: string): Promise<{ identity: string; publicKey: string }> {
  const [kind = "", bits] = type.split(":");
  const identity = join(folder, `id_${type.replace(":", "_")}`);
  await run("ssh-keygen", ["-q", "-t", kind, ...(bits === undefined ? [] : ["-b", bits]), "-N", "", "-f", identity]);
  return { identity, publicKey: `${identity}.pub` };
}

/** Options for `ssh` with this key, which checks the gateway's key against what the API says. */
export async function openSshOptions(platform: Platform, { identity, folder }: { identity: string; folder: string }) {
  const { host, port, hostKey } = await gatewayOf(platform);
  const knownHosts = join(folder, "known_hosts");
  await writeFile(knownHosts, `[${host}]:${port} ${hostKey}\n`);
  const settings = [
    "StrictHostKeyChecking=yes",
    `UserKnownHostsFile=${knownHosts}`,
    "IdentitiesOnly=yes",
    "BatchMode=yes",
  ];
  return ["-F", "none", "-p", port, "-i", identity, ...settings.flatMap((each) => ["-o", each])];
}

/** Runs `ssh` to its end. */
export async function ssh(
  options: readonly string[],
  ...args: string[]
): Promise<{ exitCode: number | null; stderr: string }> {
  const child = spawn("ssh", [...options, ...args], { stdio: ["ignore", "ignore", "pipe"] });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  await once(child, "close");
  return { exitCode: child.exitCode, stderr };
}

/** `ssh -N -L`, once it listens: the local port. It ends with the test. */
export async function localForward(
  cleanUp: CleanUp,
  options: readonly string[],
  destination: string,
): Promise<{ port: number; child: ChildProcess }> {
  const port = await freePorts(1);
  const args = [...options, "-o", "ExitOnForwardFailure=yes", "-N", "-L", `${port}:${destination}`, "git@127.0.0.1"];
  const child = spawn("ssh", args, { stdio: ["ignore", "ignore", "pipe"] });
  cleanUp.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    await ended;
  });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  await waitFor(async () => {
    if (child.exitCode !== null) throw new Error(`ssh ended: ${stderr}`);
    return await accepts(port);
  }, "ssh -L that listens");
  return { port, child };
}

/** An `ssh-agent` that holds the key, at this path. It ends with the test. */
export async function startAgent(cleanUp: CleanUp, identity: string, socket: string): Promise<string> {
  const agent = spawn("ssh-agent", ["-D", "-a", socket], { stdio: "ignore" });
  const ended = once(agent, "exit");
  cleanUp.after(async () => {
    agent.kill("SIGTERM");
    await ended;
  });
  await waitFor(
    async () =>
      await stat(socket).then(
        (entry) => entry.isSocket(),
        () => false,
      ),
    "an SSH agent",
  );
  await run("ssh-add", ["-q", identity], { env: { ...process.env, SSH_AUTH_SOCK: socket } });
  return socket;
}

async function gatewayOf(platform: Platform): Promise<{ host: string; port: string; hostKey: string }> {
  const { body } = await platform.api("GET", "/v1/regions", { token: null });
  const [host = "", port = ""] = pickText(body, "regions", 0, "ssh").split(":");
  return { host, port, hostKey: pickText(body, "regions", 0, "ssh_host_key") };
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
