import { useId, type InputHTMLAttributes, type ReactNode } from "react";

interface TextFieldProps extends Omit<InputHTMLAttributes<HTMLInputElement>, "onChange" | "value" | "className"> {
  label: string;
  value: string;
  onChange: (value: string) => void;
  hint?: ReactNode;
  /** What the platform says is wrong with the value. */
  problems?: readonly string[] | undefined;
}

export function TextField({ label, value, onChange, hint, problems = [], ...input }: TextFieldProps) {
  const id = useId();
  const noteId = `${id}-note`;
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <input
        {...input}
        id={id}
        className="input"
        value={value}
        aria-invalid={problems.length > 0}
        aria-describedby={noteId}
        onChange={(event) => onChange(event.target.value)}
      />
      <div id={noteId}>
        {hint !== undefined && <div className="hint">{hint}</div>}
        {problems.map((problem) => (
          <div key={problem} className="problem">
            {label} {problem}
          </div>
        ))}
      </div>
    </div>
  );
}

interface SelectFieldProps {
  label: string;
  value: string;
  onChange: (value: string) => void;
  options: readonly { readonly value: string; readonly text: string }[];
  hint?: ReactNode;
  disabled?: boolean;
}

export function SelectField({ label, value, onChange, options, hint, disabled = false }: SelectFieldProps) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <select
        id={id}
        className="input"
        value={value}
        disabled={disabled}
        aria-describedby={`${id}-hint`}
        onChange={(event) => onChange(event.target.value)}
      >
        {options.map((option) => (
          <option key={option.value} value={option.value}>
            {option.text}
          </option>
        ))}
      </select>
      <div id={`${id}-hint`} className="hint">
        {hint}
      </div>
    </div>
  );
}

export function Check(props: { checked: boolean; onChange: (checked: boolean) => void; children: ReactNode }) {
  return (
    <label className="check">
      <input type="checkbox" checked={props.checked} onChange={(event) => props.onChange(event.target.checked)} />
      <span>{props.children}</span>
    </label>
  );
}
