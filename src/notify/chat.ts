import { post } from "./http-post.ts";
import type { Notice } from "./notice.ts";

/** Slack cuts longer texts; nobody reads them in a chat either. */
const TEXT_CHARS_MAX = 2000;
const COLOURS = { good: "#2f855a", neutral: "#4a5568", bad: "#c53030" } as const;

/** Slack and Rocket.Chat take the same message at an incoming webhook; they differ in what they make of text. */
export type ChatKind = "slack" | "rocket_chat";

/** Posts the notice into a channel. Resolves with the status. @throws as `post` */
export async function deliverToChat(
  notice: Notice,
  target: { readonly kind: ChatKind; readonly url: string },
  call: { readonly userAgent: string; readonly allowsPrivateTargets: boolean; readonly signal: AbortSignal },
): Promise<number> {
  const headers = { "content-type": "application/json; charset=utf-8", "user-agent": call.userAgent };
  return await post({ url: target.url, headers, body: JSON.stringify(chatMessage(notice, target.kind)) }, call);
}

/** The message with one attachment: a coloured bar, the title as a link, facts in columns. */
export function chatMessage(notice: Notice, kind: ChatKind): unknown {
  const text = kind === "slack" ? escapeSlack : escapeRocketChat;
  return {
    text: text(notice.title),
    attachments: [
      {
        color: COLOURS[notice.tone],
        fallback: text(notice.title),
        title: text(notice.title),
        title_link: notice.link,
        ...(notice.nextStep === null ? {} : { text: text(notice.nextStep) }),
        fields: notice.facts.map(({ label, value }) => ({
          title: text(label),
          value: text(value),
          short: value.length < 40,
        })),
      },
    ],
  };
}

/** The three characters that Slack gives a meaning; among others they would make `<!channel>` call everybody. */
function escapeSlack(text: string): string {
  return cut(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** A word joiner behind each @ keeps a name in an error message from calling people; markdown stays, and does no harm. */
function escapeRocketChat(text: string): string {
  return cut(text).replaceAll("@", "@\u2060");
}

function cut(text: string): string {
  return text.length <= TEXT_CHARS_MAX ? text : `${text.slice(0, TEXT_CHARS_MAX - 1)}…`;
}
