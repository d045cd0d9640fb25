import { useEffect, useRef } from 'preact/hooks';
import type { PagedList } from '../core/pages';
import { t } from '../text/i18n';

/** The end of a list: reads on when it is scrolled to, or pressed. */
export function More<T>({ list }: { list: PagedList<T> }) {
  const { next, loading, error } = list.now.value;
  const end = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (!end.current) return undefined;
    const watch = new IntersectionObserver((seen) => seen.some((each) => each.isIntersecting) && !list.now.peek().error && void list.more(), { rootMargin: '300px' });
    watch.observe(end.current);
    return () => watch.disconnect();
  }, [list, next]);
  if (typeof next !== 'string') return null;
  return (
    <button type="button" ref={end} class="button quiet wide" disabled={loading} onClick={() => void list.more()}>
      {loading ? <span class="spinner" aria-hidden="true" /> : null}
      {t(error ? 'error.retry' : loading ? 'loading' : 'more')}
    </button>
  );
}
