-- Answers that were drawn for review, with what people found. These are single answers: they are estimated from, and no
-- table of the report has them.
create view drawn as select * from read_parquet(getvariable('drawn'));

-- name: reviewed
select
    transaction_id, class_1, confidence_1, threshold, in_scope, shown, version, week, confidence_band, shadow_version,
    shadow_class, shadow_shown, review_probability, judged_fraction, outcome, value
from transactions join drawn using (transaction_id)
where status = 'answered'
order by transaction_id;
