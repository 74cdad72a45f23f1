import { useQuery } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import type { DatabaseUser, DatabaseUserWithPassword } from "../../generated/api.ts";
import { query, useCall } from "../api/queries.ts";
import { Block } from "../ui/block.tsx";
import { ConfirmedButton } from "../ui/confirmed-button.tsx";
import { Secret } from "../ui/copy.tsx";
import { Check, TextField } from "../ui/field.tsx";
import { Loaded } from "../ui/loaded.tsx";
import { Failure, Notice } from "../ui/notice.tsx";
import { type Column, Table } from "../ui/table.tsx";

/** Who may connect to the database, by roles of PostgreSQL. */
export function DatabaseUsersBlock({ addon }: { addon: string }) {
  const users = useQuery(query("listDatabaseUsers", { path: { addon } }));
  const [fresh, setFresh] = useState<DatabaseUserWithPassword | null>(null);
  return (
    <Block title="Users of the database">
      <AddUser addon={addon} onMade={setFresh} />
      {fresh?.password !== undefined && (
        <Notice tone="good">
          <p>
            <strong>Password of {fresh.name}: copy it now.</strong> It is not shown again.
          </p>
          <Secret value={fresh.password} what="Password" />
        </Notice>
      )}
      <Loaded from={users}>
        {(reply) => <UserTable addon={addon} users={reply["database-users"]} onReset={setFresh} />}
      </Loaded>
    </Block>
  );
}

interface Made {
  readonly addon: string;
  readonly onMade: (user: DatabaseUserWithPassword) => void;
}

function AddUser({ addon, onMade }: Made) {
  const [name, setName] = useState("");
  const [isReadOnly, setIsReadOnly] = useState(true);
  const create = useCall("createDatabaseUser", {
    onSuccess: (reply) => {
      setName("");
      onMade(reply.database_user);
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    create.mutate({ path: { addon }, body: { database_user: { name, read_only: isReadOnly } } });
  };
  return (
    <form onSubmit={submit} className="inline-form">
      <TextField label="Name of a new user" value={name} onChange={setName} autoComplete="off" required />
      <button type="submit" className="button" disabled={create.isPending}>
        Add
      </button>
      <div className="wide">
        <Check checked={isReadOnly} onChange={setIsReadOnly}>
          May read only
        </Check>
      </div>
      <Failure error={create.error} />
    </form>
  );
}

function UserTable(props: {
  addon: string;
  users: readonly DatabaseUser[];
  onReset: (user: DatabaseUserWithPassword) => void;
}) {
  const { addon } = props;
  const remove = useCall("deleteDatabaseUser");
  const reset = useCall("resetDatabaseUserPassword", { onSuccess: (reply) => props.onReset(reply.database_user) });
  const columns: readonly Column<DatabaseUser>[] = [
    { title: "Name", cell: ({ name }) => <span className="mono">{name}</span> },
    { title: "Rights", cell: (user) => (user.read_only ? "reads only" : "reads and writes") },
    {
      title: "Actions",
      kind: "actions",
      cell: ({ name, protected: isProtected }) =>
        isProtected ? (
          <span className="muted small">belongs to the app</span>
        ) : (
          <>
            <ConfirmedButton
              word="New password"
              what={`for ${name}`}
              question="Programs that use the present one can no longer connect."
              isPending={reset.isPending}
              onConfirm={() => reset.mutate({ path: { addon, user: name } })}
            />
            <ConfirmedButton
              word="Remove"
              what={name}
              question="Its connections end at once."
              isPending={remove.isPending}
              onConfirm={() => remove.mutate({ path: { addon, user: name } })}
            />
          </>
        ),
    },
  ];
  return (
    <>
      <Failure error={remove.error ?? reset.error} />
      <Table label="Users of the database" columns={columns} rows={props.users} keyOf={({ name }) => name} />
    </>
  );
}
