-- examples/telecom/models/gold/gold_subscriber_features.sql; later runs make the subscribers with new events anew. What gold
-- holds it must tell itself, for which it has one column more, last_ingested_at.
{{ config(materialized='incremental', unique_key='subscriber_id', incremental_strategy=var('strategy')) }}
SELECT
    subscriber_id,
    COUNT(*) AS total_events,
    COUNT(*) FILTER (WHERE event_type = 'BSS') AS bss_events,
    COUNT(*) FILTER (WHERE event_type = 'OSS') AS oss_events,
    ROUND(AVG(oss_signal_dbm), 1) AS avg_signal_dbm,
    ROUND(AVG(oss_latency_ms), 1) AS avg_latency_ms,
    ROUND(AVG(oss_packet_loss_pct), 2) AS avg_packet_loss_pct,
    ROUND(AVG(bss_bill_zmw), 2) AS avg_bill_zmw,
    ROUND(AVG(bss_data_used_mb), 0) AS avg_data_used_mb,
    ROUND(AVG(iot_battery_pct), 1) AS avg_battery_pct,
    ROUND(AVG(quality_score), 1) AS avg_quality_score,
    MAX(bss_days_overdue) AS max_days_overdue,
    COUNT(*) FILTER (WHERE bss_payment_status = 'overdue') AS overdue_count,
    CASE
        WHEN MAX(bss_days_overdue) > 30 OR AVG(oss_signal_dbm) < -90 OR AVG(oss_latency_ms) > 150 THEN 1
        ELSE 0
    END AS churn_label,
    MAX(ingested_at) AS last_ingested_at
FROM {{ ref('silver_clean_events') }}
{% if is_incremental() %}
WHERE subscriber_id IN (
    SELECT subscriber_id
    FROM {{ ref('silver_clean_events') }}
    WHERE ingested_at > (SELECT MAX(last_ingested_at) FROM {{ this }})
)
{% endif %}
GROUP BY subscriber_id
HAVING COUNT(*) >= 2
