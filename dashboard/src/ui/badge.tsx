export type Tone = "good" | "warn" | "bad" | "busy" | "quiet";

/** A state in a word; its colour never says what the word doesn't. */
export function Badge({ tone, children }: { tone: Tone; children: string }) {
  return <span className={`badge ${tone}`}>{children}</span>;
}
