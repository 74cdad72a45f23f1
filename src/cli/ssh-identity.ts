import { readFile } from "node:fs/promises";
import { join } from "node:path";
import ssh2, { type AnyAuthMethod } from "ssh2";
import { systemErrorCode, TidemarkError } from "../core/errors.ts";
import type { Prompt } from "./prompt.ts";

/** The only user name of the gateway: whose key it is says who comes. */
export const SSH_USER = "git";
/** Tried when there is neither a named key nor an agent, in OpenSSH's order of preference. */
const DEFAULT_FILES = ["id_ed25519", "id_ecdsa", "id_rsa"];

export interface IdentityOptions {
  /** Path that the user gave; alone when given. */
  readonly file: string | undefined;
  /** `SSH_AUTH_SOCK`. */
  readonly agentSocket: string | undefined;
  /** The user's own folder, whose `.ssh` has the default keys. */
  readonly userHome: string;
  readonly prompt: Prompt;
}

/**
 * Ways to log in over SSH, in the order in which they are tried: the given key file; else the agent and the usual files of `~/.ssh`. A passphrase is
 * asked for when the key was named, or is the only one. `usage` when a named file is no private key or there is none at all.
 */
export async function findIdentities(options: IdentityOptions): Promise<AnyAuthMethod[]> {
  if (options.file !== undefined) return [await fromFile(options.file, options.prompt)];
  const agent: AnyAuthMethod[] =
    options.agentSocket === undefined ? [] : [{ type: "agent", username: SSH_USER, agent: options.agentSocket }];
  const files = await Promise.all(DEFAULT_FILES.map((name) => readKeyFile(join(options.userHome, ".ssh", name))));
  const found = files.filter((each) => each !== undefined);
  const open = found.filter(({ content }) => !isEncrypted(content));
  const [encrypted] = found;
  if (agent.length + open.length === 0 && encrypted !== undefined)
    return [await fromFile(encrypted.path, options.prompt)];
  const methods = [...agent, ...open.map(({ content }) => byKey(content)).filter((each) => each !== undefined)];
  if (methods.length > 0) return methods;
  throw new TidemarkError("usage", "There is no SSH key: no agent runs, and ~/.ssh has none of the usual names", {
    hint: "Make one with ssh-keygen -t ed25519 and add it with tidemark keys-add, or name yours with --identity FILE.",
  });
}

async function fromFile(path: string, prompt: Prompt): Promise<AnyAuthMethod> {
  const file = await readKeyFile(path);
  if (file === undefined) throw new TidemarkError("usage", `There is no key file "${path}"`);
  const passphrase = isEncrypted(file.content)
    ? await prompt.askSecret(`Passphrase of ${path}: `, { insteadOf: "a key without one, or use ssh-agent" })
    : undefined;
  const method = byKey(file.content, passphrase);
  if (method !== undefined) return method;
  const problem = passphrase === undefined ? "is no private key that can be used" : "doesn't open with this passphrase";
  throw new TidemarkError("usage", `The key file "${path}" ${problem}`, {
    hint: "Give the private key, without .pub: Ed25519, ECDSA or RSA, in OpenSSH's format or PEM.",
  });
}

async function readKeyFile(path: string): Promise<{ path: string; content: string } | undefined> {
  try {
    return { path, content: await readFile(path, "utf8") };
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(systemErrorCode(error) ?? "")) return undefined;
    throw new TidemarkError("usage", `Cannot read the key file "${path}": ${systemErrorCode(error) ?? "it failed"}`, {
      cause: error,
    });
  }
}

function byKey(content: string, passphrase?: string): AnyAuthMethod | undefined {
  const key = ssh2.utils.parseKey(content, passphrase);
  // Its type says one key; a file of the newer format is parsed to a list of one.
  const parsed = [key].flat()[0];
  if (parsed === undefined || parsed instanceof Error || !parsed.isPrivateKey()) return undefined;
  return { type: "publickey", username: SSH_USER, key: parsed };
}

/** PEM says so in words; OpenSSH's own format names the cipher after its magic. */
function isEncrypted(content: string): boolean {
  if (/^Proc-Type: 4,ENCRYPTED|BEGIN ENCRYPTED/m.test(content)) return true;
  const body = /-----BEGIN OPENSSH PRIVATE KEY-----([^-]+)-----/.exec(content)?.[1];
  if (body === undefined) return false;
  const bytes = Buffer.from(body, "base64");
  const afterMagic = bytes.subarray("openssh-key-v1\0".length);
  return afterMagic.length > 4 && afterMagic.subarray(4, 4 + afterMagic.readUInt32BE(0)).toString() !== "none";
}
