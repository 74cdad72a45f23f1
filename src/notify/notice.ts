/** What is told of one event, whatever the channel. Plain text throughout: each channel escapes for itself. */
export interface Notice {
  /** The event's id: the same at each attempt, so that a reader can drop what came twice. */
  readonly id: string;
  /** `database_backup_failed` */
  readonly type: string;
  readonly tone: "good" | "neutral" | "bad";
  /** One line: what happened, to which database. */
  readonly title: string;
  readonly facts: readonly { readonly label: string; readonly value: string }[];
  /** What to do now; null when there is nothing to do. */
  readonly nextStep: string | null;
  /** Where to look further: an address of this platform. */
  readonly link: string;
  /** The event as the API answers it, which is what a webhook gets. */
  readonly event: unknown;
}

/** The notice as text of several lines, without its title. */
export function noticeText(notice: Notice): string {
  const facts = notice.facts.map(({ label, value }) => `${label}: ${value}`);
  const next = notice.nextStep === null ? [] : ["", notice.nextStep];
  return [...facts, ...next, "", notice.link].join("\n").trimStart();
}
