import { useId, type InputHTMLAttributes, type ReactNode, type TextareaHTMLAttributes } from "react";

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
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <input
        {...input}
        id={id}
        className="input"
        value={value}
        aria-invalid={problems.length > 0}
        aria-describedby={`${id}-note`}
        onChange={(event) => onChange(event.target.value)}
      />
      <FieldNote id={`${id}-note`} label={label} hint={hint} problems={problems} />
    </div>
  );
}

interface LinesFieldProps extends Omit<
  TextareaHTMLAttributes<HTMLTextAreaElement>,
  "onChange" | "value" | "className" | "rows"
> {
  label: string;
  value: string;
  onChange: (value: string) => void;
  hint?: ReactNode;
  problems?: readonly string[] | undefined;
  /** Blurred while it is neither focused nor pointed at. */
  isVeiled?: boolean;
}

/** Lines that a field shows before it scrolls. */
const LINES_SHOWN_MAX = 10;

/** A text of one line or more, as it is: no browser corrects or completes it. */
export function LinesField({ label, value, onChange, hint, problems = [], isVeiled, ...area }: LinesFieldProps) {
  const id = useId();
  const lines = value.split("\n").length;
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <textarea
        {...area}
        id={id}
        className={isVeiled === true ? "input mono veiled-input" : "input mono"}
        rows={Math.min(LINES_SHOWN_MAX, Math.max(2, lines))}
        value={value}
        autoComplete="off"
        spellCheck={false}
        aria-invalid={problems.length > 0}
        aria-describedby={`${id}-note`}
        onChange={(event) => onChange(event.target.value)}
      />
      <FieldNote id={`${id}-note`} label={label} hint={hint} problems={problems} />
    </div>
  );
}

function FieldNote(props: { id: string; label: string; hint: ReactNode; problems: readonly string[] }) {
  return (
    <div id={props.id}>
      {props.hint !== undefined && <div className="hint">{props.hint}</div>}
      {props.problems.map((problem) => (
        <div key={problem} className="problem" role="alert">
          {props.label} {problem}
        </div>
      ))}
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
