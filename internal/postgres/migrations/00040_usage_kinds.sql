-- Expands.

-- +goose Up

-- What else a call may be charged for. Tokens are parts of prompt_tokens or of
-- completion_tokens, as cached_tokens are, and disjoint.
alter table usage
    add cached_input_audio_tokens bigint not null default 0 check (cached_input_audio_tokens >= 0),
    add cache_write_1h_tokens bigint not null default 0 check (cache_write_1h_tokens >= 0),
    add input_audio_tokens bigint not null default 0 check (input_audio_tokens >= 0),
    add input_image_tokens bigint not null default 0 check (input_image_tokens >= 0),
    add output_audio_tokens bigint not null default 0 check (output_audio_tokens >= 0),
    add output_image_tokens bigint not null default 0 check (output_image_tokens >= 0),
    add images bigint not null default 0 check (images >= 0),
    add audio_ms bigint not null default 0 check (audio_ms >= 0),
    add characters bigint not null default 0 check (characters >= 0);

alter table usage_hourly
    add cached_input_audio_tokens bigint not null default 0,
    add cache_write_1h_tokens bigint not null default 0,
    add input_audio_tokens bigint not null default 0,
    add input_image_tokens bigint not null default 0,
    add output_audio_tokens bigint not null default 0,
    add output_image_tokens bigint not null default 0,
    add images bigint not null default 0,
    add audio_ms bigint not null default 0,
    add characters bigint not null default 0;

-- +goose Down

alter table usage_hourly
    drop cached_input_audio_tokens, drop cache_write_1h_tokens, drop input_audio_tokens, drop input_image_tokens,
    drop output_audio_tokens, drop output_image_tokens, drop images, drop audio_ms, drop characters;
alter table usage
    drop cached_input_audio_tokens, drop cache_write_1h_tokens, drop input_audio_tokens, drop input_image_tokens,
    drop output_audio_tokens, drop output_image_tokens, drop images, drop audio_ms, drop characters;
