// Where a chart stands. What draws it is loaded when such a place is on the page.

import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { BarsProps } from '../chart/bars';

type Drawer = ComponentType<BarsProps>;
let loading: Promise<{ default: Drawer }> | undefined;

export function Chart(props: BarsProps) {
  const [drawer, setDrawer] = useState<{ Bars: Drawer }>();
  useEffect(() => {
    let here = true;
    loading ??= import('../chart/bars');
    loading.then(
      (loaded) => here && setDrawer({ Bars: loaded.default }),
      () => (loading = undefined), // tried again with the next chart
    );
    return () => {
      here = false;
    };
  }, []);
  return <div id="chart-container">{drawer && <drawer.Bars {...props} />}</div>;
}
