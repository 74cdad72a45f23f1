import type { Principal } from "./model.ts";

/** A login of a browser. The secret goes into a cookie that no script can read; the proof is for the page, which sends it with each change. */
export interface BrowserSession {
  readonly principal: Principal;
  readonly csrfToken: string;
  /** At the latest: one that isn't used ends earlier. */
  readonly expiresAt: Date;
}

export interface SessionService {
  /** Opens a session for somebody whose password was just checked. The secret is told once, here. */
  open(principal: Principal): Promise<BrowserSession & { readonly secret: string }>;
  /** Whose session this is; `unauthenticated` for one that is unknown, expired, closed, or of before a change of password. */
  authenticate(secret: string): Promise<BrowserSession>;
  /** Closes it; nothing happens when there is none. */
  close(secret: string): Promise<void>;
}
