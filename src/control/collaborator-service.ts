import type { ObjectId } from "../core/ids.ts";
import type { App, AppRole, Principal } from "./model.ts";

/** Somebody other than its owner who may use an app, or was invited to. */
export interface Collaborator {
  readonly id: ObjectId;
  readonly appId: ObjectId;
  readonly appName: string;
  readonly role: Exclude<AppRole, "owner">;
  readonly status: "accepted" | "pending";
  /** Of the user; of the invitation while it is pending. */
  readonly email: string;
  /** Null while pending. */
  readonly user: { readonly id: ObjectId; readonly username: string } | null;
  readonly createdAt: Date;
}

/** A collaborator who was just added. The link is told once, here; null when a user of this name or address has been added at once. */
export type AddedCollaborator = Collaborator & { readonly invitationLink: string | null };

/** Who else may use an app. `not_found` for an app that the caller may not see, `forbidden` for what the caller's role doesn't allow. */
export interface CollaboratorService {
  /** In order of addition; for everyone who may see the app. */
  list(principal: Principal, app: string): Promise<Collaborator[]>;
  /** Collaborators of all apps that the caller owns. */
  listOfOwner(principal: Principal): Promise<Collaborator[]>;
  /**
   * Adds the user who has this name or e-mail address; invites the address if there is none, by a link that is good for two weeks. For the owner.
   * `invalid_fields` for what is no address and no user, the owner, or somebody who is there already.
   */
  add(
    principal: Principal,
    app: string,
    input: { who: string; role: Collaborator["role"] },
  ): Promise<AddedCollaborator>;
  /** For the owner. */
  changeRole(
    principal: Principal,
    app: string,
    input: { collaboratorId: string; role: Collaborator["role"] },
  ): Promise<Collaborator>;
  /** For the owner; a collaborator may remove itself. */
  remove(principal: Principal, app: string, collaboratorId: string): Promise<void>;
  /** Makes the caller a collaborator; `not_found` for an invitation that was used, removed or has expired. */
  accept(principal: Principal, token: string): Promise<App>;
}
