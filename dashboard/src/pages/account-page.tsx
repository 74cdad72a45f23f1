import { useQuery } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import type { NewToken, Token } from "../../generated/api.ts";
import { query, useCall } from "../api/queries.ts";
import { Block, Empty } from "../ui/block.tsx";
import { Secret } from "../ui/copy.tsx";
import { Facts } from "../ui/facts.tsx";
import { ConfirmedButton } from "../ui/confirmed-button.tsx";
import { type Column, Table } from "../ui/table.tsx";
import { TextField } from "../ui/field.tsx";
import { Ago, Instant } from "../ui/instant.tsx";
import { Loaded } from "../ui/loaded.tsx";
import { Failure, Notice } from "../ui/notice.tsx";
import { AccountForm } from "./account-form.tsx";
import { KeysBlock } from "./keys-block.tsx";
import { SecondFactorBlock } from "./second-factor-block.tsx";
import { PageHead } from "../ui/page-head.tsx";

export function AccountPage() {
  const self = useQuery(query("showSelf", {}));
  return (
    <>
      <PageHead title="Your account" />
      <div className="stack">
        <Block title="You">
          <Loaded from={self}>
            {({ user }) => (
              <Facts
                rows={[
                  ["Username", user.username],
                  ["E-mail", user.email],
                  ["Since", <Instant at={user.created_at} />],
                  ["Role", user.platform_owner ? "owner of the platform" : undefined],
                ]}
              />
            )}
          </Loaded>
        </Block>
        {self.data !== undefined && <AccountForm user={self.data.user} />}
        <SecondFactorBlock />
        <Tokens />
        <KeysBlock />
      </div>
    </>
  );
}

function Tokens() {
  const tokens = useQuery(query("listTokens", {}));
  const [fresh, setFresh] = useState<NewToken | null>(null);
  return (
    <Block title="API tokens">
      <p className="muted">
        A token stands for you in the command line and in programs. Remove one to lock out whoever has it.
      </p>
      <NewTokenForm onMade={setFresh} />
      {fresh !== null && (
        <Notice tone="good">
          <p>
            <strong>The token {fresh.name}: copy it now.</strong> It is not shown again.
          </p>
          <Secret value={fresh.token} what="New token" />
        </Notice>
      )}
      <Loaded from={tokens}>
        {(reply) =>
          reply.tokens.length === 0 ? (
            <Empty title="No token">Make one to use the command line from another machine.</Empty>
          ) : (
            <TokenTable tokens={reply.tokens} />
          )
        }
      </Loaded>
    </Block>
  );
}

function NewTokenForm({ onMade }: { onMade: (token: NewToken) => void }) {
  const [name, setName] = useState("");
  const create = useCall("createToken", {
    onSuccess: ({ token }) => {
      setName("");
      onMade(token);
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    create.mutate({ body: { token: { name } } });
  };
  return (
    <form onSubmit={submit} className="inline-form">
      <TextField label="Name of a new token" value={name} onChange={setName} autoComplete="off" required />
      <button type="submit" className="button" disabled={create.isPending}>
        Make a token
      </button>
      <Failure error={create.error} />
    </form>
  );
}

function TokenTable({ tokens }: { tokens: readonly Token[] }) {
  const remove = useCall("removeToken");
  const columns: readonly Column<Token>[] = [
    { title: "Name", cell: ({ name }) => name },
    { title: "Made", cell: (token) => <Instant at={token.created_at} /> },
    { title: "Last used", cell: ({ last_used_at: at }) => (at === null ? "never" : <Ago at={at} />) },
    {
      title: "Actions",
      kind: "actions",
      cell: (token) => (
        <ConfirmedButton
          word="Remove"
          what={`the token ${token.name}`}
          question="Whoever uses it is locked out at once."
          isPending={remove.isPending}
          onConfirm={() => remove.mutate({ path: { id: token.id } })}
        />
      ),
    },
  ];
  return (
    <>
      <Failure error={remove.error} />
      <Table label="API tokens, newest first" columns={columns} rows={tokens} keyOf={({ id }) => id} />
    </>
  );
}
