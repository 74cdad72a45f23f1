import { useQuery } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { query, useCall } from "../api/queries.ts";
import { Badge } from "../ui/badge.tsx";
import { Block } from "../ui/block.tsx";
import { Command, Secret } from "../ui/copy.tsx";
import { TextField } from "../ui/field.tsx";
import { Loaded } from "../ui/loaded.tsx";
import { Failure, Notice } from "../ui/notice.tsx";

/** A one-time code at each login, beside the password. */
export function SecondFactorBlock() {
  const state = useQuery(query("showSecondFactor", {}));
  // Kept here: the form that they come from goes as soon as the platform says that the second factor is on.
  const [codes, setCodes] = useState<readonly string[] | null>(null);
  return (
    <Block title="Two-factor authentication">
      {codes !== null && <RecoveryCodes codes={codes} />}
      <Loaded from={state}>
        {({ tfa }) => (tfa.enabled ? <Disable onDone={() => setCodes(null)} /> : <Enable onCodes={setCodes} />)}
      </Loaded>
    </Block>
  );
}

function Enable({ onCodes }: { onCodes: (codes: readonly string[]) => void }) {
  const begin = useCall("beginSecondFactor");
  const confirm = useCall("confirmSecondFactor", { onSuccess: ({ tfa }) => onCodes(tfa.codes) });
  const [code, setCode] = useState("");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    confirm.mutate({ body: { tfa: { attempt: code } } });
  };
  if (begin.data === undefined)
    return (
      <div className="row spread">
        <p className="muted">A login needs the password alone.</p>
        <button
          type="button"
          className="button"
          disabled={begin.isPending}
          onClick={() => begin.mutate({ body: { tfa: { provider: "totp" } } })}
        >
          Set it up
        </button>
        <Failure error={begin.error} />
      </div>
    );
  return (
    <form onSubmit={submit} className="stack">
      <p>Add this secret to an authenticator app, then type the code that it shows.</p>
      <Secret value={begin.data.tfa.secret} what="Secret" />
      <div className="inline-form">
        <TextField
          label="Code"
          value={code}
          onChange={setCode}
          inputMode="numeric"
          autoComplete="one-time-code"
          required
        />
        <button type="submit" className="button primary" disabled={confirm.isPending}>
          Enable
        </button>
      </div>
      <Failure error={confirm.error} />
    </form>
  );
}

function RecoveryCodes({ codes }: { codes: readonly string[] }) {
  return (
    <Notice tone="good">
      <p>
        <strong>It is enabled. Keep these recovery codes:</strong> each is good for one login when the authenticator is
        lost, and they are not shown again.
      </p>
      <Command text={codes.join("\n")} />
    </Notice>
  );
}

function Disable({ onDone }: { onDone: () => void }) {
  const disable = useCall("disableSecondFactor", { onSuccess: onDone });
  const [code, setCode] = useState("");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    disable.mutate({ body: { tfa: { attempt: code } } });
  };
  return (
    <form onSubmit={submit} className="stack">
      <p>
        <Badge tone="good">enabled</Badge> <span className="muted">Each login asks for a code.</span>
      </p>
      <div className="inline-form">
        <TextField
          label="Code, or a recovery code"
          value={code}
          onChange={setCode}
          autoComplete="one-time-code"
          required
        />
        <button type="submit" className="button danger" disabled={disable.isPending}>
          Disable
        </button>
      </div>
      <Failure error={disable.error} />
    </form>
  );
}
