// Grafana's own types, made strict: what its schema leaves open in a panel (options, how a
// field is drawn) is closed by the type of the panel.
import type * as dashboard from '@grafana/schema/dist/esm/raw/dashboard/x/Dashboard_types.gen';
import type * as stat from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type * as timeseries from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

// Plain is a type as JSON has it: enums are their values.
type Plain<T> = T extends string ? `${T}`
  : T extends number ? (`${T}` extends `${infer N extends number}` ? N : never)
  : T extends (infer E)[] ? Plain<E>[]
  : T extends object ? { [K in keyof T]: Plain<T[K]> }
  : T;

interface Target {
  refId: string;
  datasource: dashboard.DataSourceRef;
  expr: string;
  legendFormat: string;
  instant: boolean;
  range: boolean;
}

type Field<Custom> = Omit<Plain<dashboard.FieldConfig>, 'custom'> & { custom?: Plain<Custom> };

type Panel<Kind extends string, Options, Custom> = Omit<Plain<dashboard.Panel>, 'type' | 'options' | 'fieldConfig' | 'targets'> & {
  type: Kind;
  targets: Target[];
  options: Plain<Options>;
  fieldConfig: { defaults: Field<Custom>; overrides: Plain<dashboard.FieldConfigSource>['overrides'] };
};

type StatOptions = Pick<stat.Options, 'colorMode' | 'graphMode' | 'justifyMode' | 'textMode' | 'orientation' | 'reduceOptions'>;

type Annotation = Plain<dashboard.AnnotationQuery> & { expr: string; step: string; titleFormat: string }; // the last three are Prometheus'

export type Dashboard = Omit<Plain<dashboard.Dashboard>, 'panels' | 'annotations'> & {
  panels: (Plain<dashboard.RowPanel> | Panel<'stat', StatOptions, never> | Panel<'timeseries', timeseries.Options, timeseries.FieldConfig>)[];
  annotations: { list: Annotation[] };
};
