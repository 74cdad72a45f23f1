import { post } from "./http-post.ts";
import type { Notice } from "./notice.ts";
import { signatureHeaders } from "./signature.ts";

/** Posts the event, signed. Resolves with the status. @throws as `post` */
export async function deliverToWebhook(
  notice: Notice,
  target: { readonly url: string; readonly signingSecret: string },
  call: {
    readonly at: Date;
    readonly userAgent: string;
    readonly allowsPrivateTargets: boolean;
    readonly signal: AbortSignal;
  },
): Promise<number> {
  const body = JSON.stringify(notice.event);
  const headers = {
    "content-type": "application/json; charset=utf-8",
    "user-agent": call.userAgent,
    ...signatureHeaders({ id: notice.id, body, at: call.at }, target.signingSecret),
  };
  return await post({ url: target.url, headers, body }, call);
}
