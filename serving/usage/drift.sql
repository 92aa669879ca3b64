-- Samples of answers, week by week and of the last day. These are single answers: they are compared, and no table of the
-- report has them. A sample is the first ones by a hash of their identity, so that it is the same when it is drawn again.

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
), chosen as (
    select *, row_number() over (partition by span, version order by hash(transaction_id)) as place
    from spans
    qualify place <= 20000
), embedded as (
    select transaction_id, embedding
    from transactions
    where transaction_id in (select transaction_id from chosen where place <= getvariable('most_embeddings'))
)
select span, version, class_1, confidence_1, if(place <= getvariable('most_embeddings'), embedding, null) as embedding
from chosen left join embedded using (transaction_id)
order by version, span;
