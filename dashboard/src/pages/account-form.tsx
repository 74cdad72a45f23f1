import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";
import type { User } from "../../generated/api.ts";
import { useCall } from "../api/queries.ts";
import { Block } from "../ui/block.tsx";
import { TextField } from "../ui/field.tsx";
import { Failure } from "../ui/notice.tsx";

/** The user's own e-mail address and password; either needs the present password. */
export function AccountForm({ user }: { user: User }) {
  const [email, setEmail] = useState(user.email);
  const [password, setPassword] = useState("");
  const [current, setCurrent] = useState("");
  const client = useQueryClient();
  const navigate = useNavigate();
  const change = useCall("changeAccount", {
    onSuccess: () => {
      setCurrent("");
      // A new password ends every login, this one's too.
      if (password === "") return;
      void navigate({ to: "/login" }).then(() => client.clear());
    },
  });
  const hasChange = email !== user.email || password !== "";
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const changed = { ...(email === user.email ? {} : { email }), ...(password === "" ? {} : { password }) };
    change.mutate({ body: { user: { ...changed, current_password: current } } });
  };
  const problems = change.error?.fields ?? {};
  return (
    <Block title="E-mail address and password">
      <form onSubmit={submit} className="inline-form">
        <TextField
          label="E-mail address"
          value={email}
          onChange={setEmail}
          autoComplete="email"
          inputMode="email"
          spellCheck={false}
          required
          problems={problems["email"]}
        />
        <TextField
          label="New password"
          type="password"
          value={password}
          onChange={setPassword}
          autoComplete="new-password"
          problems={problems["password"]}
        />
        <TextField
          label="Present password"
          type="password"
          value={current}
          onChange={setCurrent}
          autoComplete="current-password"
          required
          problems={problems["current_password"]}
        />
        <button type="submit" className="button" disabled={!hasChange || change.isPending}>
          Save
        </button>
        <p className="wide muted">
          Leave the new password empty to keep yours. A new one ends all of your logins, this one too.
        </p>
        <Failure error={change.error} beside={["email", "password", "current_password"]} />
      </form>
    </Block>
  );
}
