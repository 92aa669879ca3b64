-- Samples of answers, week by week and of the last day. These are single answers: they are compared, and no table of the
-- report has them.

-- name: samples
with spans as (
    select week as span, version, class_1, confidence_1, transaction_id from transactions where status = 'answered'
    union all
    select 'last 24 hours', version, class_1, confidence_1, transaction_id
    from transactions
    where status = 'answered' and received_at >= getvariable('until') - interval 24 hours
    union all
    select '7 days before', version, class_1, confidence_1, transaction_id
    from transactions
    where
        status = 'answered'
        and received_at >= getvariable('until') - interval 8 days
        and received_at < getvariable('until') - interval 24 hours
)
select span, version, class_1, confidence_1
from spans
qualify row_number() over (partition by span, version order by hash(transaction_id)) <= 20000
order by version, span;
