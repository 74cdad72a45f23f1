import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import type { ListedUser } from "../../generated/api.ts";
import { query, useCall } from "../api/queries.ts";
import { Badge } from "../ui/badge.tsx";
import { Block } from "../ui/block.tsx";
import { ConfirmName } from "../ui/confirm-name.tsx";
import { Secret } from "../ui/copy.tsx";
import { Icon } from "../ui/icons.tsx";
import { Instant } from "../ui/instant.tsx";
import { Loaded } from "../ui/loaded.tsx";
import { Notice } from "../ui/notice.tsx";
import { type Column, Table } from "../ui/table.tsx";
import { CreateUserDialog, type Handover, ResetUserDialog } from "./user-dialogs.tsx";

const route = getRouteApi("/signed-in/platform/users");

/** Everybody who may log in. */
export function PlatformUsersPage() {
  const { create } = route.useSearch();
  const navigate = route.useNavigate();
  const users = useQuery(query("listUsers", {}));
  const [handover, setHandover] = useState<Handover | null>(null);
  const close = () => void navigate({ search: {} });
  const createLink = (
    <Link to="/platform/users" search={{ create: true }} className="button primary">
      <Icon name="plus" />
      Create a user
    </Link>
  );
  return (
    <div className="stack">
      {handover !== null && <PasswordNotice handover={handover} />}
      <Block title="Users" actions={createLink} flush>
        <Loaded from={users}>{(reply) => <UserTable users={reply.users} onReset={setHandover} />}</Loaded>
      </Block>
      {create === true && (
        <CreateUserDialog
          onMade={(made) => {
            setHandover(made);
            close();
          }}
          onClose={close}
        />
      )}
    </div>
  );
}

/** Who has a new password, and the password itself where this page made it. */
function PasswordNotice({ handover: { username, password } }: { handover: Handover }) {
  return (
    <Notice tone="good">
      <p role="status">
        <strong>{username} can log in with the new password.</strong>{" "}
        {password === null ? "Hand it over by a safe way." : "Copy it now, and hand it over: it is not shown again."}
      </p>
      {password !== null && <Secret value={password} what={`Password of ${username}`} />}
    </Notice>
  );
}

function UserTable({ users, onReset }: { users: readonly ListedUser[]; onReset: (made: Handover) => void }) {
  const [resetting, setResetting] = useState<ListedUser | null>(null);
  const [removing, setRemoving] = useState<ListedUser | null>(null);
  const columns: readonly Column<ListedUser>[] = [
    {
      title: "Name",
      cell: ({ username, fullname }) => (
        <>
          <strong>{username}</strong>
          {fullname !== "" && <div className="muted small">{fullname}</div>}
        </>
      ),
    },
    { title: "E-mail", cell: ({ email }) => email },
    { title: "Role", cell: (user) => (user.platform_owner ? "owner of the platform" : "user") },
    {
      title: "Second factor",
      cell: ({ two_factor: isOn }) => <Badge tone={isOn ? "good" : "quiet"}>{isOn ? "on" : "off"}</Badge>,
    },
    { title: "Since", cell: (user) => <Instant at={user.created_at} /> },
    {
      title: "Actions",
      kind: "actions",
      cell: (user) =>
        user.platform_owner ? (
          <span className="muted small">that is you</span>
        ) : (
          <>
            <button
              type="button"
              className="button compact"
              aria-label={`New password for ${user.username}`}
              onClick={() => setResetting(user)}
            >
              New password
            </button>
            <button
              type="button"
              className="button danger compact"
              aria-label={`Remove ${user.username}`}
              onClick={() => setRemoving(user)}
            >
              Remove
            </button>
          </>
        ),
    },
  ];
  return (
    <>
      <Table label="Users, by name" columns={columns} rows={users} keyOf={({ id }) => id} />
      {resetting !== null && (
        <ResetUserDialog
          user={resetting}
          onMade={(made) => {
            onReset(made);
            setResetting(null);
          }}
          onClose={() => setResetting(null)}
        />
      )}
      {removing !== null && <RemoveUser user={removing} onClose={() => setRemoving(null)} />}
    </>
  );
}

function RemoveUser({ user, onClose }: { user: ListedUser; onClose: () => void }) {
  const remove = useCall("removeUser", { onSuccess: onClose });
  return (
    <ConfirmName
      title={`Remove ${user.username}`}
      name={user.username}
      action="Remove the user"
      isPending={remove.isPending}
      error={remove.error}
      onConfirm={() => remove.mutate({ path: { id: user.id } })}
      onClose={onClose}
    >
      <p>
        The user's logins, tokens and keys end at once. Apps stay with their owners: whoever owns one can be removed
        once it is given to somebody else, or deleted.
      </p>
    </ConfirmName>
  );
}
