import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { describe, test } from "node:test";
import { errorsReference } from "../scripts/generate-errors-reference.ts";
import { SERVE_VARIABLES } from "../src/config.ts";
import { INSTALL_LINES } from "../src/postgres/programs.ts";
import { IMPORT_TABLE } from "./harness/import-table.ts";
import { listFiles, readText, TOP } from "./harness/source-files.ts";

describe("links in Markdown", () => {
  const pages = listFiles().filter((path) => path.endsWith(".md"));

  test("name files that exist, and headings that exist in them", () => {
    const broken = pages.flatMap((page) =>
      linksOf(readText(page))
        .filter((link) => !/^[a-z]+:/.test(link))
        .filter((link) => !resolves(page, link))
        .map((link) => `${page} links to ${link}`),
    );
    assert.deepEqual(broken, []);
  });

  test("lead from README.md to every page of docs/", () => {
    const reached = new Set(["README.md"]);
    for (const page of reached)
      for (const link of linksOf(readText(page))) {
        const target = targetOf(page, link).path;
        if (target.endsWith(".md") && existsSync(join(TOP, target))) reached.add(target);
      }
    assert.deepEqual(
      pages.filter((page) => page.startsWith("docs/") && !reached.has(page)),
      [],
    );
  });
});

describe("docs/reference/errors.md", () => {
  test("is what scripts/generate-errors-reference.ts writes", () => {
    // By line, so that a failure shows the rows that differ.
    assert.deepEqual(readText("docs/reference/errors.md").split("\n"), errorsReference().split("\n"));
  });
});

describe("docs/operating/configuration.md", () => {
  test("has a row for each setting of src/config.ts, and for no other", () => {
    const rows = readText("docs/operating/configuration.md").matchAll(/^\| `(TIDEMARK_[A-Z_]+)`/gm);
    const documented = [...rows].map(([, name = ""]) => name);
    assert.deepEqual(documented.toSorted(), [...SERVE_VARIABLES].toSorted());
  });
});

describe("docs/operating/install.md", () => {
  test("shows the lines that the program itself shows where PostgreSQL is missing", () => {
    const page = readText("docs/operating/install.md");
    assert.deepEqual(
      Object.values(INSTALL_LINES).filter((line) => !page.includes(`\`${line}\``)),
      [],
    );
  });
});

describe("docs/dependencies.md", () => {
  test("has a row for each dependency of the platform and the dashboard with its version, and for no other", () => {
    const wanted = ["package.json", "dashboard/package.json"].flatMap((path) => {
      const { dependencies, devDependencies, optionalDependencies } = readPackage(path);
      return Object.entries({ ...dependencies, ...devDependencies, ...optionalDependencies });
    });
    const rows = [...readText("docs/dependencies.md").matchAll(/^\| `([^`]+)` \| ([^ ]+) \|/gm)];
    assert.deepEqual(
      rows.map(([, name, version]) => `${name} ${version}`).toSorted(),
      wanted.map(([name, version]) => `${name} ${version}`).toSorted(),
    );
  });
});

describe("ARCHITECTURE.md", () => {
  test("shows the import table of the architecture test", () => {
    const rows = [
      ...readText("ARCHITECTURE.md").matchAll(/^\| `src\/([a-z]+)(?:\/|\.ts)` \| ([^|]+) \| ([^|]+) \|$/gm),
    ];
    assert.deepEqual(
      rows.map(([, part, mayImport, reason]) => ({ part, mayImport, reason })),
      IMPORT_TABLE.map(({ part, mayImport, reason }) => ({ part, mayImport: listed(mayImport), reason })),
    );
  });

  const listed = (parts: readonly string[]): string => (parts.length === 0 ? "nothing" : parts.join(", "));
});

/** Targets of inline links and images, without those in code. */
function linksOf(markdown: string): string[] {
  const prose = markdown.replaceAll(/^```[\s\S]*?^```/gm, "").replaceAll(/`[^`\n]*`/g, "");
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = ""]) => link);
}

function targetOf(page: string, link: string): { path: string; anchor: string } {
  const [file = "", anchor = ""] = link.split("#");
  return { path: file === "" ? page : posix.join(dirname(page), file), anchor };
}

function resolves(page: string, link: string): boolean {
  const { path, anchor } = targetOf(page, link);
  if (path.startsWith("..") || !existsSync(join(TOP, path))) return false;
  return anchor === "" || headingAnchors(readText(path)).has(anchor);
}

/** Anchors as forges make them of headings: lower case, spaces to hyphens, other signs dropped. */
function headingAnchors(markdown: string): Set<string> {
  const headings = [...markdown.matchAll(/^#{1,6} (.+)$/gm)];
  return new Set(
    headings.map(([, text = ""]) =>
      text
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
        .replaceAll(" ", "-"),
    ),
  );
}

interface PackageFile {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

function readPackage(path: string): PackageFile {
  // npm itself refuses a package.json of another shape.
  return JSON.parse(readText(path)) as PackageFile;
}
