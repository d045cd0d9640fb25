// The shapes of the account API, made from its OpenAPI file when the app is built.

import type { components } from './schema';

type Schemas = components['schemas'];

export type Balance = Schemas['Balance'];
export type Usage = Schemas['Usage'];
export type UsageRow = NonNullable<Usage['rows']>[number];
export type Sum = Schemas['Sum'];
export type Call = Schemas['Call'];
export type Calls = Schemas['Calls'];
export type Transaction = Schemas['Transaction'];
export type Transactions = Schemas['Transactions'];
export type Key = Schemas['Key'];
export type Keys = Schemas['Keys'];
export type KeyWish = Schemas['KeyWish'];
export type MadeKey = Schemas['MadeKey'];
export type Product = Schemas['Product'];
export type Products = Schemas['Products'];
export type TopUp = Schemas['TopUp'];
export type TopUpWish = Schemas['TopUpWish'];
export type Settings = Schemas['Settings'];
export type SettingsWish = Schemas['SettingsWish'];
export type Organisation = Schemas['Organisation'];
export type Report = Schemas['Report'];
export type ReportWish = Schemas['ReportWish'];
