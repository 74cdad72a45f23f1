import { useQuery } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import type { SshKey } from "../../generated/api.ts";
import { query, useCall } from "../api/queries.ts";
import { Block, Empty } from "../ui/block.tsx";
import { ConfirmedButton } from "../ui/confirmed-button.tsx";
import { TextField } from "../ui/field.tsx";
import { Instant } from "../ui/instant.tsx";
import { Loaded } from "../ui/loaded.tsx";
import { Failure } from "../ui/notice.tsx";
import { type Column, Table } from "../ui/table.tsx";

/** The SSH keys that open tunnels to the user's databases. */
export function KeysBlock() {
  const keys = useQuery(query("listKeys", {}));
  return (
    <Block title="SSH keys">
      <p className="muted">A public key of yours opens tunnels to the databases that you may connect to.</p>
      <AddKey />
      <Loaded from={keys}>
        {(reply) =>
          reply.keys.length === 0 ? (
            <Empty title="No key yet">Paste the line of a file such as ~/.ssh/id_ed25519.pub.</Empty>
          ) : (
            <KeyTable keys={reply.keys} />
          )
        }
      </Loaded>
    </Block>
  );
}

function AddKey() {
  const [name, setName] = useState("");
  const [content, setContent] = useState("");
  const add = useCall("addKey", {
    onSuccess: () => {
      setName("");
      setContent("");
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    add.mutate({ body: { key: { name, content } } });
  };
  return (
    <form onSubmit={submit} className="inline-form">
      <TextField label="Name of a new key" value={name} onChange={setName} autoComplete="off" required />
      <TextField
        label="Public key"
        value={content}
        onChange={setContent}
        autoComplete="off"
        spellCheck={false}
        required
      />
      <button type="submit" className="button" disabled={add.isPending}>
        Add
      </button>
      <Failure error={add.error} />
    </form>
  );
}

function KeyTable({ keys }: { keys: readonly SshKey[] }) {
  const remove = useCall("removeKey");
  const columns: readonly Column<SshKey>[] = [
    { title: "Name", cell: ({ name }) => name },
    { title: "Fingerprint", cell: ({ fingerprint }) => <span className="mono small">{fingerprint}</span> },
    { title: "Added", cell: (key) => <Instant at={key.created_at} /> },
    {
      title: "Actions",
      kind: "actions",
      cell: ({ id, name }) => (
        <ConfirmedButton
          word="Remove"
          what={`the key ${name}`}
          question="It opens no tunnel any more."
          isPending={remove.isPending}
          onConfirm={() => remove.mutate({ path: { id } })}
        />
      ),
    },
  ];
  return (
    <>
      <Failure error={remove.error} />
      <Table label="SSH keys" columns={columns} rows={keys} keyOf={({ id }) => id} />
    </>
  );
}
