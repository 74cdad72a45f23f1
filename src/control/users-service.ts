import type { Principal, User } from "./model.ts";

/** A user as the platform's owner sees it. */
export interface ListedUser extends User {
  readonly hasSecondFactor: boolean;
}

/** What changes of an account; what is left out stays. */
export interface AccountChange {
  readonly email?: string | undefined;
  readonly fullname?: string | undefined;
  readonly password?: string | undefined;
  /** Needed with a new password or e-mail address: whoever found an open session must not take the account over. */
  readonly currentPassword?: string | undefined;
}

/** Users of the platform: all of them for its owner, oneself for everybody. To others they don't exist (`not_found`). */
export interface UsersService {
  /** By name. Platform owner only (`forbidden`). */
  list(principal: Principal): Promise<ListedUser[]>;
  /**
   * Changes the caller's own account; a new password ends all JWTs and sessions, this one's too, and leaves API tokens. `invalid_fields` for what is
   * malformed or taken and for a wrong current password, `too_many_requests` after many of these.
   */
  changeAccount(principal: Principal, change: AccountChange): Promise<User>;
  /** For the platform's owner: a new password, no second factor, and the end of all JWTs and sessions. Not for oneself (`conflict`). */
  reset(principal: Principal, userId: string, input: { password: string }): Promise<User>;
  /** For the platform's owner. `conflict` while the user owns apps, and for the owner itself. */
  remove(principal: Principal, userId: string): Promise<void>;
}
