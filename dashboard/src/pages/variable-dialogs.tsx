import { useState, type FormEvent, type ReactNode } from "react";
import type { Variable } from "../../generated/api.ts";
import type { ApiError } from "../api/api-error.ts";
import { useCall } from "../api/queries.ts";
import { Dialog } from "../ui/dialog.tsx";
import { LinesField, TextField } from "../ui/field.tsx";
import { Failure } from "../ui/notice.tsx";

const FIELDS = ["name", "value"];

export function AddVariableDialog({ app, onClose }: { app: string; onClose: () => void }) {
  const [name, setName] = useState("");
  const [value, setValue] = useState("");
  const create = useCall("createVariable", { onSuccess: onClose });
  return (
    <VariableDialog
      title="Add a variable"
      action="Add"
      value={value}
      onChange={setValue}
      isPending={create.isPending}
      error={create.error}
      onSubmit={() => create.mutate({ path: { app }, body: { variable: { name, value } } })}
      onClose={onClose}
    >
      <TextField
        label="Name"
        value={name}
        onChange={setName}
        autoComplete="off"
        autoCapitalize="none"
        spellCheck={false}
        required
        hint="Letters, digits, _ and -, such as SMTP_HOST."
        problems={create.error?.fields["name"]}
      />
    </VariableDialog>
  );
}

export function ChangeVariableDialog(props: { app: string; variable: Variable; onClose: () => void }) {
  const { app, variable, onClose } = props;
  const [value, setValue] = useState(variable.value);
  const change = useCall("changeVariable", { onSuccess: onClose });
  return (
    <VariableDialog
      title={`Change ${variable.name}`}
      action="Save"
      value={value}
      onChange={setValue}
      isPending={change.isPending}
      error={change.error}
      onSubmit={() => change.mutate({ path: { app, id: variable.id }, body: { variable: { value } } })}
      onClose={onClose}
    />
  );
}

interface VariableDialogProps {
  readonly title: string;
  readonly action: string;
  readonly value: string;
  readonly onChange: (value: string) => void;
  readonly isPending: boolean;
  readonly error: ApiError | null;
  readonly onSubmit: () => void;
  readonly onClose: () => void;
  /** What is asked before the value. */
  readonly children?: ReactNode;
}

function VariableDialog(props: VariableDialogProps) {
  const { error } = props;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    props.onSubmit();
  };
  return (
    <Dialog title={props.title} onClose={props.onClose}>
      <form onSubmit={submit} className="stack">
        <div>
          {props.children}
          <LinesField
            label="Value"
            value={props.value}
            onChange={props.onChange}
            isVeiled
            required
            hint="May have several lines. $ and the name of another variable follow that one."
            problems={error?.fields["value"]}
          />
        </div>
        <Failure error={error} beside={FIELDS} />
        <div className="dialog-actions">
          <button type="button" className="button" onClick={props.onClose}>
            Cancel
          </button>
          <button type="submit" className="button primary" disabled={props.isPending}>
            {props.action}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
