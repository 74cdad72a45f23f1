/**
 * The shell commands of a Markdown page that a test runs: each fenced `bash` block right below the line `<!-- test -->`, in order. Throws for a mark
 * without such a block, which would silently test nothing.
 *
 * @param mark what stands between `<!--` and `-->`, where a page has commands for several tests
 */
export function markedBlocks(markdown: string, mark = "test"): string[] {
  const [, ...parts] = `\n${markdown}`.split(`\n<!-- ${mark} -->\n`);
  return parts.map((part) => {
    const block = /^```bash\n([\s\S]*?)^```$/m.exec(part);
    if (block?.index !== 0) throw new Error(`No bash block right below a mark: "${part.trim().slice(0, 60)}"`);
    return block[1] ?? "";
  });
}
