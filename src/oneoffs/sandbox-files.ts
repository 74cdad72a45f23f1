import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Binding, INSIDE_HOME, INSIDE_UPLOADS } from "./sandbox-arguments.ts";
import { makeOwnedFolder, type OpenSandboxHost } from "./sandbox-host.ts";

/** The folder of one sandbox on the host, and what of it is seen inside. */
export interface SandboxFiles {
  /** For files that somebody sends along; it can be read inside, not written. */
  readonly uploadFolder: string;
  readonly bindings: readonly Binding[];
}

/** Host names inside that mean the sandbox's own forwards. */
export async function makeSandboxFiles(
  host: OpenSandboxHost,
  { folder, hostNames }: { readonly folder: string; readonly hostNames: readonly string[] },
): Promise<SandboxFiles> {
  await makeOwnedFolder(folder, host.user);
  const uploadFolder = join(folder, "uploads");
  await makeOwnedFolder(uploadFolder, host.user);
  const bindings: Binding[] = [{ from: uploadFolder, to: INSIDE_UPLOADS }];
  for (const [name, text] of Object.entries(systemFiles(host, hostNames))) {
    const from = join(folder, name.replaceAll("/", "-"));
    await writeFile(from, text);
    // Whatever the platform's own mask is.
    await chmod(from, 0o644);
    bindings.push({ from, to: join("/etc", name) });
  }
  return { uploadFolder, bindings };
}

function systemFiles({ installed }: OpenSandboxHost, hostNames: readonly string[]): Record<string, string> {
  const majors = installed
    .filter(({ isServerOnly }) => !isServerOnly)
    .map(({ major, binFolder }) => `${major} ${binFolder}\n`);
  return {
    passwd: `root:x:0:0:root:/root:/usr/sbin/nologin\napp:x:1000:1000:app:${INSIDE_HOME}:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n`,
    group: "root:x:0:\napp:x:1000:\nnogroup:x:65534:\n",
    hosts: ["localhost", ...hostNames].map((name) => `127.0.0.1 ${name}\n`).join(""),
    // Nothing outside can be looked up: names are those of hosts, and no server is asked.
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    "resolv.conf": "",
    "tidemark/postgresql-majors": majors.join(""),
  };
}
