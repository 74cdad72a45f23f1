import { useQuery } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import type { AddedCollaborator, Collaborator } from "../../generated/api.ts";
import { query, useCall } from "../api/queries.ts";
import { Badge } from "../ui/badge.tsx";
import { Block, Empty } from "../ui/block.tsx";
import { ConfirmedButton } from "../ui/confirmed-button.tsx";
import { Command } from "../ui/copy.tsx";
import { Check, TextField } from "../ui/field.tsx";
import { Loaded } from "../ui/loaded.tsx";
import { Failure, Notice } from "../ui/notice.tsx";
import { type Column, Table } from "../ui/table.tsx";

/** Who else may use the app. */
export function CollaboratorsBlock({ app }: { app: string }) {
  const collaborators = useQuery(query("listCollaborators", { path: { app } }));
  const [added, setAdded] = useState<AddedCollaborator | null>(null);
  return (
    <Block title="Collaborators">
      <p className="muted">
        A collaborator sees the app and works with its databases; a limited one may look, and nothing else.
      </p>
      <AddCollaborator app={app} onAdded={setAdded} />
      {added !== null && added.invitation_link !== null && (
        <Notice tone="good">
          <p>
            <strong>Send this link to {added.email}.</strong> It works once, for two weeks, and is not shown again.
          </p>
          <Command text={added.invitation_link} />
        </Notice>
      )}
      <Loaded from={collaborators}>
        {(reply) =>
          reply.collaborators.length === 0 ? (
            <Empty title="Nobody else yet">Add a user by name, or invite somebody by e-mail address.</Empty>
          ) : (
            <CollaboratorTable app={app} collaborators={reply.collaborators} />
          )
        }
      </Loaded>
    </Block>
  );
}

function AddCollaborator({ app, onAdded }: { app: string; onAdded: (added: AddedCollaborator) => void }) {
  const [who, setWho] = useState("");
  const [isLimited, setIsLimited] = useState(false);
  const add = useCall("addCollaborator", {
    onSuccess: ({ collaborator }) => {
      setWho("");
      onAdded(collaborator);
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    add.mutate({ path: { app }, body: { collaborator: { email: who, is_limited: isLimited } } });
  };
  return (
    <form onSubmit={submit} className="inline-form">
      <TextField label="Username or e-mail address" value={who} onChange={setWho} autoComplete="off" required />
      <button type="submit" className="button" disabled={add.isPending}>
        Add
      </button>
      <div className="wide">
        <Check checked={isLimited} onChange={setIsLimited}>
          Limited: may look, and nothing else
        </Check>
      </div>
      <Failure error={add.error} />
    </form>
  );
}

function CollaboratorTable({ app, collaborators }: { app: string; collaborators: readonly Collaborator[] }) {
  const remove = useCall("removeCollaborator");
  const change = useCall("changeCollaborator");
  const columns: readonly Column<Collaborator>[] = [
    {
      title: "Who",
      cell: ({ username, email }) => (
        <>
          {username !== "" && <strong>{username}</strong>} <span className="muted">{email}</span>
        </>
      ),
    },
    { title: "Role", cell: (each) => (each.is_limited ? "limited collaborator" : "collaborator") },
    {
      title: "Status",
      cell: ({ status }) => <Badge tone={status === "accepted" ? "good" : "quiet"}>{status}</Badge>,
    },
    {
      title: "Actions",
      kind: "actions",
      cell: ({ id, email, is_limited: isLimited }) => (
        <>
          <button
            type="button"
            className="button compact"
            disabled={change.isPending}
            aria-label={isLimited ? `Lift the limits of ${email}` : `Limit ${email}`}
            onClick={() => change.mutate({ path: { app, id }, body: { collaborator: { is_limited: !isLimited } } })}
          >
            {isLimited ? "Lift limits" : "Limit"}
          </button>
          <ConfirmedButton
            word="Remove"
            what={email}
            question="They lose sight of this app at once."
            isPending={remove.isPending}
            onConfirm={() => remove.mutate({ path: { app, id } })}
          />
        </>
      ),
    },
  ];
  return (
    <>
      <Failure error={remove.error ?? change.error} />
      <Table label="Collaborators" columns={columns} rows={collaborators} keyOf={({ id }) => id} />
    </>
  );
}
