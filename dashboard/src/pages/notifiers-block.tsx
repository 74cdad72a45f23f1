import { useQuery } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import type { Notifier } from "../../generated/api.ts";
import { query, useCall } from "../api/queries.ts";
import { Badge } from "../ui/badge.tsx";
import { Block, Empty } from "../ui/block.tsx";
import { ConfirmedButton } from "../ui/confirmed-button.tsx";
import { Secret } from "../ui/copy.tsx";
import { SelectField, TextField } from "../ui/field.tsx";
import { Loaded } from "../ui/loaded.tsx";
import { Failure, Notice } from "../ui/notice.tsx";
import { type Column, Table } from "../ui/table.tsx";

const EMAIL = "email";

/** Who is told of what happens to the app. */
export function NotifiersBlock({ app }: { app: string }) {
  const notifiers = useQuery(query("listNotifiers", { path: { app } }));
  const [fresh, setFresh] = useState<Notifier | null>(null);
  return (
    <Block title="Notifiers">
      <AddNotifier app={app} onMade={setFresh} />
      {fresh?.type_data.signing_secret !== undefined && (
        <Notice tone="good">
          <p>
            <strong>What its requests are signed with: copy it now.</strong> It is not shown again.
          </p>
          <Secret value={fresh.type_data.signing_secret} what="Signing secret" />
        </Notice>
      )}
      <Loaded from={notifiers}>
        {(reply) =>
          reply.notifiers.length === 0 ? (
            <Empty title="Nobody is told yet">Add an address: it hears of failed backups, delays and restores.</Empty>
          ) : (
            <NotifierTable app={app} notifiers={reply.notifiers} />
          )
        }
      </Loaded>
    </Block>
  );
}

function AddNotifier({ app, onMade }: { app: string; onMade: (notifier: Notifier) => void }) {
  const platforms = useQuery(query("listNotificationPlatforms", {}));
  const [platform, setPlatform] = useState(EMAIL);
  const [address, setAddress] = useState("");
  const create = useCall("createNotifier", {
    onSuccess: (reply) => {
      setAddress("");
      onMade(reply.notifier);
    },
  });
  const all = platforms.data?.notification_platforms ?? [];
  const chosen = all.find(({ name }) => name === platform);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const typeData = platform === EMAIL ? { emails: [address] } : { webhook_url: address };
    const notifier = { platform_id: chosen?.id ?? platform, name: `${chosen?.display_name ?? platform} ${address}` };
    create.mutate({
      path: { app },
      body: { notifier: { ...notifier, active: true, send_all_events: true, type_data: typeData } },
    });
  };
  return (
    <form onSubmit={submit} className="inline-form">
      <SelectField
        label="By"
        value={platform}
        onChange={setPlatform}
        options={all.map((each) => ({ value: each.name, text: each.display_name }))}
      />
      <TextField
        label={platform === EMAIL ? "E-mail address" : "Address of the hook"}
        type={platform === EMAIL ? "email" : "url"}
        value={address}
        onChange={setAddress}
        autoComplete="off"
        required
      />
      <button type="submit" className="button" disabled={create.isPending}>
        Add
      </button>
      <Failure error={create.error} />
    </form>
  );
}

function NotifierTable({ app, notifiers }: { app: string; notifiers: readonly Notifier[] }) {
  const remove = useCall("removeNotifier");
  const test = useCall("testNotifier");
  const columns: readonly Column<Notifier>[] = [
    {
      title: "Name",
      cell: (notifier) => (
        <>
          <strong>{notifier.name}</strong>
          <div className="muted small address">{addressOf(notifier)}</div>
        </>
      ),
    },
    {
      title: "Status",
      cell: ({ active }) => <Badge tone={active ? "good" : "quiet"}>{active ? "active" : "paused"}</Badge>,
    },
    {
      title: "Hears of",
      cell: (each) => (each.send_all_events ? "everything" : kindsText(each.selected_event_ids.length)),
    },
    {
      title: "Actions",
      kind: "actions",
      cell: ({ id, name }) => (
        <>
          <button
            type="button"
            className="button compact"
            aria-label={`Test ${name}`}
            disabled={test.isPending}
            onClick={() => test.mutate({ path: { app, id } })}
          >
            Test
          </button>
          <ConfirmedButton
            word="Remove"
            what={name}
            question="It hears of nothing any more."
            isPending={remove.isPending}
            onConfirm={() => remove.mutate({ path: { app, id } })}
          />
        </>
      ),
    },
  ];
  return (
    <>
      <Failure error={remove.error ?? test.error} />
      {test.data !== undefined && (
        <Notice tone={test.data.delivery.status === "failed" ? "bad" : "good"}>
          Test: {test.data.delivery.status}
          {test.data.delivery.reply !== null && ` (${test.data.delivery.reply})`}
        </Notice>
      )}
      <Table label="Notifiers" columns={columns} rows={notifiers} keyOf={({ id }) => id} />
    </>
  );
}

/** Where its messages go. */
function addressOf({ type_data: data }: Notifier): string {
  const users = data.user_ids?.length ?? 0;
  const places = [...(data.emails ?? []), ...(data.webhook_url === undefined ? [] : [data.webhook_url])];
  if (users > 0) places.push(users === 1 ? "one user of the app" : `${users} users of the app`);
  return places.join(", ");
}

function kindsText(count: number): string {
  return count === 1 ? "one kind of event" : `${count} kinds of events`;
}
