import { useState } from 'preact/hooks';
import { t } from '../text/i18n';
import { Icon } from './icons';
import { Row } from './lists';
import { Sheet } from './sheet';

export interface Option {
  value: string;
  title: string;
  under?: string;
  /** What stands at its end; made when it is shown. */
  side?: () => string;
}

const SEARCHED_FROM = 9; // options
const SHOWN = 80; // at most: more are found by searching

/** One of many, in a sheet. */
export function Picker({ title, options, value, onPick, onClose }: {
  title: string;
  options: Option[];
  value: string;
  onPick: (value: string) => void;
  onClose: () => void;
}) {
  const [wanted, setWanted] = useState('');
  const words = wanted.toLowerCase().split(/[\s_/]+/).filter(Boolean);
  const found = options.filter((option) => words.every((word) => `${option.title} ${option.value}`.toLowerCase().replace(/_/g, ' ').includes(word)));
  return (
    <Sheet title={title} onClose={onClose}>
      {options.length >= SEARCHED_FROM && (
        <label class="search">
          <Icon name="search" small />
          <span class="sr-only">{t('search')}</span>
          <input type="search" value={wanted} placeholder={t('search')} onInput={(event) => setWanted(event.currentTarget.value)} />
        </label>
      )}
      <div class="card">
        {found.slice(0, SHOWN).map((option) => (
          <Row
            key={option.value}
            title={option.title}
            under={option.under}
            side={option.value === value ? <span class="accent-check"><Icon name="check" small /><span class="sr-only">{t('chosen')}</span></span> : option.side?.()}
            onPress={() => {
              onPick(option.value);
              onClose();
            }}
          />
        ))}
        {found.length === 0 && <Row title={<span class="hint">{t('nothing_found')}</span>} />}
      </div>
    </Sheet>
  );
}
