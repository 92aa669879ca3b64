-- Every figure of the pages: each table is the answer to the query of its name. To ask again yourself, set the variables
-- as below; `files` may also be what gateways shipped: day=*/*.parquet of that place. What users said of rows after these
-- were shipped is in feedback/*/*.parquet there.
--   set timezone = 'UTC'; set variable files = '...'; set variable zone = 'Europe/Zurich';
--   set variable since = timestamptz '...'; set variable until = timestamptz '...';
--   set variable objective = 0.99; set variable within_ms = 1000;
create view transactions as
select
    *,
    received_at at time zone getvariable('zone') as local_time,
    strftime(date_trunc('week', received_at at time zone getvariable('zone')), '%Y-%m-%d') as week,  -- its Monday
    case
        when confidence_1 >= 99 then '99 to 100'
        when confidence_1 >= 95 then '95 to 99'
        when confidence_1 >= 75 then '75 to 95'
        when confidence_1 >= 50 then '50 to 75'
        else '0 to 50'
    end as confidence_band,
    total_ms - coalesce(read_ms, 0) as own_ms,  -- without the time that the picture took to arrive
    status in ('answered', 'failed', 'aborted') as counts,  -- for the service level: what was refused does not
    status = 'answered' and total_ms - coalesce(read_ms, 0) <= getvariable('within_ms') as in_time
from read_parquet(getvariable('files'), union_by_name = true)  -- older gateways shipped fewer columns
where received_at >= getvariable('since') and received_at < getvariable('until');

-- name: summary
select
    count(*) as pictures,
    count(*) filter (status = 'answered') as answered,
    count(*) filter (shown) as shown,
    count(*) filter (status = 'refused') as refused,
    count(*) filter (status = 'failed') as failed,
    count(*) filter (status = 'aborted') as aborted,
    count(*) filter (status = 'under_way') as under_way,
    count(*) filter (feedback = 'right') as called_right,
    count(*) filter (feedback = 'wrong') as called_wrong,
    min(received_at) as first_at,
    max(received_at) as last_at
from transactions;

-- name: days
with dates as (
    select unnest(generate_series(
        cast(getvariable('since') at time zone getvariable('zone') as date),
        cast((getvariable('until') - interval 1 millisecond) at time zone getvariable('zone') as date),
        interval 1 day
    )) as day
), asked as (
    select
        date_trunc('day', local_time) as day,
        count(*) as pictures,
        count(*) filter (status = 'answered') as answered,
        count(*) filter (shown) as shown,
        count(*) filter (status = 'refused') as refused,
        count(*) filter (counts) as counted,
        count(*) filter (in_time) as in_time,
        count(distinct user_hash) as users,
        quantile_cont(own_ms, 0.5) filter (status = 'answered') as median_ms,
        quantile_cont(own_ms, 0.95) filter (status = 'answered') as p95_ms
    from transactions
    group by 1
)
select
    cast(day as date) as day,
    coalesce(pictures, 0) as pictures,
    coalesce(answered, 0) as answered,
    coalesce(shown, 0) as shown,
    coalesce(refused, 0) as refused,
    coalesce(counted, 0) as counted,
    coalesce(in_time, 0) as in_time,
    coalesce(users, 0) as users,
    median_ms,
    p95_ms
from dates left join asked using (day)
order by day;

-- name: hours
-- The clock shows some hours twice and some never: per_hour is per hour that there truly was.
with quarters as (
    select unnest(generate_series(getvariable('since'), getvariable('until'), interval 15 minutes)) as moment
), elapsed as (
    select
        isodow(moment at time zone getvariable('zone')) as weekday,
        hour(moment at time zone getvariable('zone')) as hour,
        sum(least(900, epoch(getvariable('until')) - epoch(moment))) / 3600 as hours
    from quarters
    group by all
), asked as (
    select isodow(local_time) as weekday, hour(local_time) as hour, count(*) as pictures
    from transactions
    group by all
)
select
    weekday,
    hour,
    coalesce(pictures, 0) as pictures,
    hours,
    coalesce(pictures, 0) / nullif(hours, 0) as per_hour
from elapsed full join asked using (weekday, hour)
order by weekday, hour;

-- name: minutes
select
    date_trunc('minute', received_at) as minute,
    any_value(date_trunc('minute', local_time)) as local_minute,
    count(*) as pictures,
    count(*) / 60 as per_second
from transactions
group by 1
order by pictures desc, minute
limit 10;

-- name: classes
select
    class_1 as class_name,
    count(*) as answers,
    count(*) filter (shown) as shown,
    count(*) filter (shown) / count(*) as shown_fraction,
    median(confidence_1) as median_confidence
from transactions
where status = 'answered'
group by 1
order by answers desc, class_name;

-- name: confidences
select
    version,
    least(floor(confidence_1 / 5) * 5, 95) as at_least,
    count(*) as answers,
    count(*) filter (shown) as shown
from transactions
where status = 'answered'
group by all
order by version, at_least;

-- name: versions
select
    version,
    count(*) as answers,
    count(*) filter (shown) as shown,
    count(*) filter (shown) / count(*) as shown_fraction,
    any_value(threshold) as threshold,
    min(received_at) as first_at,
    max(received_at) as last_at
from transactions
where status = 'answered'
group by version
order by version;

-- name: latency
with parts as (
    unpivot (
        select own_ms as whole, prepare_ms as prepare, store_ms as store, model_ms as model, read_ms as arrival
        from transactions
        where status = 'answered'
    ) on whole, prepare, store, model, arrival into name part value ms
)
select
    part,
    count(*) as pictures,
    quantile_cont(ms, 0.5) as median_ms,
    quantile_cont(ms, 0.95) as p95_ms,
    quantile_cont(ms, 0.99) as p99_ms,
    max(ms) as largest_ms
from parts
group by part
order by list_position(['whole', 'prepare', 'store', 'model', 'arrival'], part);

-- name: errors
select status, http_status, error, count(*) as pictures, max(received_at) as last_at
from transactions
where status != 'answered'
group by all
order by pictures desc, status, http_status, error
limit 50;

-- name: service_level
with totals as (
    select count(*) filter (counts) as counted, count(*) filter (in_time) as in_time from transactions
)
select
    getvariable('objective') as objective,
    getvariable('within_ms') as within_ms,
    counted,
    in_time,
    in_time / nullif(counted, 0) as reached,
    counted * (1 - getvariable('objective')) as budget,
    counted - in_time as spent,
    1 - (counted - in_time) / nullif(counted * (1 - getvariable('objective')), 0) as left_fraction
from totals;

-- name: faults
select fault, count(*) as answers, count(*) filter (shown) as shown, count(*) filter (shown) / count(*) as shown_fraction
from (
    select unnest(string_split(coalesce(faults, 'none'), ', ')) as fault, shown
    from transactions
    where status = 'answered'
)
group by fault
order by answers desc, fault;

-- name: again
-- Users who got no answer and sent another picture within two minutes.
with turns as (
    select
        shown,
        lead(received_at) over later - received_at <= interval 2 minutes as tried_again,
        lead(shown) over later as then_shown
    from transactions
    where status = 'answered' and user_hash is not null
    window later as (partition by user_hash order by received_at, transaction_id)
)
select
    count(*) filter (not shown) as silent,
    count(*) filter (not shown and tried_again) as tried_again,
    count(*) filter (not shown and tried_again and then_shown) as then_shown
from turns;

-- name: clients
select client, count(*) as pictures, count(*) filter (shown) as shown
from transactions
group by client
order by pictures desc, client
limit 50;

-- name: answered
-- How many answers there are for those that were reviewed.
select
    shown,
    case
        when grouping(class_1) = 0 then 'class'
        when grouping(version) = 0 then 'version'
        when grouping(confidence_band) = 0 then 'confidence'
        when grouping(week) = 0 then 'week'
        else 'all'
    end as "by",
    coalesce(class_1, cast(version as varchar), confidence_band, week, 'all') as name,
    count(*) as answers
from transactions
where status = 'answered'
group by grouping sets ((shown), (shown, class_1), (shown, version), (shown, confidence_band), (shown, week))
order by shown desc, "by", name;

-- name: both
-- What two versions said of the same pictures; users were told what the first one said.
select
    version,
    shadow_version,
    count(*) as answers,
    count(*) filter (class_1 = shadow_class) as same_class,
    count(*) filter (shown and shadow_shown) as both_shown,
    count(*) filter (shown and not shadow_shown) as only_first_shown,
    count(*) filter (not shown and shadow_shown) as only_second_shown
from transactions
where status = 'answered' and shadow_version is not null
group by all
order by version, shadow_version;
