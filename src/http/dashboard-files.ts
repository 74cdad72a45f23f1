import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { extname, join, relative, sep } from "node:path";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { systemErrorCode } from "../core/errors.ts";

export interface DashboardFile {
  readonly contentType: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly gzipped: Uint8Array<ArrayBuffer>;
  /** Quoted, as in the header. */
  readonly etag: string;
  /** True where the name holds a hash of the content: such a file never changes. */
  readonly isImmutable: boolean;
}

/** By address, without the slash at its start: `index.html`, `assets/main-Bx2f.js`. */
export type DashboardFiles = ReadonlyMap<string, DashboardFile>;

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};

/** Reads the built dashboard, some hundred kilobytes in all, into memory. Empty when `folder` has none: then nothing was built. */
export async function readDashboard(folder: string): Promise<DashboardFiles> {
  const paths = await listFiles(folder);
  const files = await Promise.all(
    paths.map(async (path) => [path.split(sep).join("/"), await readDashboardFile(join(folder, path), path)] as const),
  );
  return new Map(files);
}

async function listFiles(folder: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile() && extname(entry.name) in CONTENT_TYPES)
      .map((entry) => relative(folder, join(entry.parentPath, entry.name)));
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return [];
    throw error;
  }
}

async function readDashboardFile(absolute: string, path: string): Promise<DashboardFile> {
  const bytes = new Uint8Array(await readFile(absolute));
  return {
    contentType: CONTENT_TYPES[extname(path)] ?? "application/octet-stream",
    bytes,
    gzipped: new Uint8Array(await promisify(gzip)(bytes)),
    etag: `"${createHash("sha256").update(bytes).digest("base64url")}"`,
    isImmutable: path.startsWith(`assets${sep}`),
  };
}
