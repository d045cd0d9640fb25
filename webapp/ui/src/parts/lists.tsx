// Sections and rows, of which every screen is made.

import type { ComponentChildren } from 'preact';
import { Icon, type IconName } from './icons';

interface SectionProps {
  head?: string;
  /** Stands at the end of the heading's line. */
  aside?: ComponentChildren;
  foot?: ComponentChildren;
  children: ComponentChildren;
}

/** A card under a heading. */
export function Section({ head, aside, foot, children }: SectionProps) {
  return (
    <section>
      {head && (
        <div class="section-head">
          <h2>{head}</h2>
          {aside}
        </div>
      )}
      <div class="card">{children}</div>
      {foot && <p class="section-foot">{foot}</p>}
    </section>
  );
}

interface RowProps {
  icon?: IconName;
  /** The icon's ground: a colour, or none for a soft one. */
  tint?: string;
  lead?: ComponentChildren;
  title: ComponentChildren;
  under?: ComponentChildren;
  side?: ComponentChildren;
  onPress?: () => void;
  /** Shows that pressing leads somewhere. */
  leads?: boolean;
  act?: boolean;
  danger?: boolean;
  fresh?: boolean;
}

/** A line of a list; a button where pressing it does something. */
export function Row(p: RowProps) {
  const inner = (
    <>
      {p.lead}
      {p.icon && (
        <span class={`lead${p.tint ? '' : ' soft'}`} style={p.tint ? { '--tint': p.tint } : undefined}>
          <Icon name={p.icon} />
        </span>
      )}
      <span class="body">
        <span><bdi>{p.title}</bdi></span>
        {p.under && <small>{p.under}</small>}
      </span>
      {p.side !== undefined && <span class="side">{p.side}</span>}
      {p.leads && <Icon name="next" turns small />}
    </>
  );
  const look = `row${p.icon ? ' iconed' : p.lead ? ' marked' : ''}${p.act ? ' act' : ''}${p.danger ? ' danger' : ''}${p.fresh ? ' fresh' : ''}`;
  if (!p.onPress) return <div class={look}>{inner}</div>;
  return (
    <button type="button" class={look} onClick={p.onPress}>
      {inner}
    </button>
  );
}

/** A line with a switch. */
export function SwitchRow({ title, under, on, onChange }: { title: string; under?: string; on: boolean; onChange: (on: boolean) => void }) {
  return (
    <label class="row">
      <span class="body">
        <span>{title}</span>
        {under && <small>{under}</small>}
      </span>
      <input class="switch" type="checkbox" role="switch" checked={on} onChange={(event) => onChange(event.currentTarget.checked)} />
    </label>
  );
}

/** One of a few, side by side. */
export function Segments<T extends string>({ label, name, options, value, onChange }: {
  label: string;
  name: string;
  options: { value: T; text: string }[];
  value: T;
  onChange: (value: T) => void;
}) {
  return (
    <div class="segments" role="radiogroup" aria-label={label}>
      {options.map((option) => (
        <label key={option.value}>
          <input type="radio" name={name} value={option.value} checked={option.value === value} onChange={() => onChange(option.value)} />
          <span>{option.text}</span>
        </label>
      ))}
    </div>
  );
}

/** Rows in their shape, before they are there. */
export function BoneRows({ n }: { n: number }) {
  return (
    <div aria-hidden="true">
      {Array.from({ length: n }, (_, i) => (
        <div class="row" key={i}>
          <span class="body">
            <span class="bone bone-line" />
            <span class="bone bone-line short" />
          </span>
        </div>
      ))}
    </div>
  );
}
