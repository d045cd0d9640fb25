-- Expands. Usage by quarters of an hour: where clocks are half an hour or 45 minutes off
-- UTC, an hour or a day there begins in the midst of an hour of usage_hourly.

-- +goose Up
create table usage_quarters (like usage_hourly including defaults) with (fillfactor = 80);
alter table usage_quarters rename hour to quarter;

insert into usage_quarters (account_id, key_id, model, quarter, calls, estimated_calls, cost_nano, captured_nano, write_off_nano,
    prompt_tokens, cached_tokens, cached_input_audio_tokens, cache_write_tokens, cache_write_1h_tokens, input_audio_tokens,
    input_image_tokens, completion_tokens, reasoning_tokens, output_audio_tokens, output_image_tokens, images, audio_ms, characters)
select account_id, key_id, model, date_bin('15 minutes', created_at, timestamptz 'epoch'), count(*), count(*) filter (where estimated),
    sum(cost_nano), sum(captured_nano), sum(write_off_nano),
    sum(prompt_tokens), sum(cached_tokens), sum(cached_input_audio_tokens), sum(cache_write_tokens), sum(cache_write_1h_tokens),
    sum(input_audio_tokens), sum(input_image_tokens), sum(completion_tokens), sum(reasoning_tokens), sum(output_audio_tokens),
    sum(output_image_tokens), sum(images), sum(audio_ms), sum(characters)
from usage group by 1, 2, 3, 4 order by 4;

alter table usage_quarters add primary key (account_id, quarter, key_id, model);

-- +goose Down
drop table usage_quarters;
