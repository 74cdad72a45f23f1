import type { Principal } from "./model.ts";

/** Whether logins of a user ask for a one-time password besides the password. */
export interface SecondFactor {
  readonly isEnabled: boolean;
}

export interface SecondFactorService {
  status(principal: Principal): Promise<SecondFactor>;
  /**
   * Makes a new secret, to be put into an authenticator by its URI; nothing is asked for at logins before `confirm`. `conflict` while a second
   * factor is enabled.
   */
  begin(principal: Principal): Promise<{ readonly uri: string; readonly secret: string }>;
  /**
   * Enables it, once the user has shown a one-time password; answers the recovery codes, told this once. `conflict` when nothing was begun,
   * `invalid_fields` for a wrong one.
   */
  confirm(principal: Principal, attempt: string): Promise<string[]>;
  /** Takes a one-time password or a recovery code. `conflict` when there is none, `invalid_fields` for a wrong one, `too_many_requests` after several. */
  disable(principal: Principal, attempt: string): Promise<void>;
}
