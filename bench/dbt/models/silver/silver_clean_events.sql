-- examples/telecom/models/silver/silver_clean_events.sql; later runs append what came in since.
{{ config(materialized='incremental', incremental_strategy='append') }}
SELECT
    event_id,
    event_type,
    source_system,
    UPPER(subscriber_id) AS subscriber_id,
    CAST(event_timestamp AS TIMESTAMP) AS event_timestamp,
    quality_score,
    ingested_at,
    -- BSS: billing
    CASE WHEN event_type = 'BSS' THEN raw_payload->>'plan' END AS bss_plan,
    CASE WHEN event_type = 'BSS' THEN CAST(raw_payload->>'data_used_mb' AS DOUBLE) END AS bss_data_used_mb,
    CASE WHEN event_type = 'BSS' THEN CAST(raw_payload->>'bill_zmw' AS DECIMAL(12, 2)) END AS bss_bill_zmw,
    CASE WHEN event_type = 'BSS' THEN CAST(raw_payload->>'days_overdue' AS INTEGER) END AS bss_days_overdue,
    CASE WHEN event_type = 'BSS' THEN raw_payload->>'payment_status' END AS bss_payment_status,
    -- OSS: the network
    CASE WHEN event_type = 'OSS' THEN CAST(raw_payload->>'signal_dbm' AS DOUBLE) END AS oss_signal_dbm,
    CASE WHEN event_type = 'OSS' THEN CAST(raw_payload->>'latency_ms' AS DOUBLE) END AS oss_latency_ms,
    CASE WHEN event_type = 'OSS' THEN CAST(raw_payload->>'packet_loss_pct' AS DOUBLE) END AS oss_packet_loss_pct,
    -- IoT: devices
    CASE WHEN event_type = 'IoT' THEN CAST(raw_payload->>'battery_pct' AS DOUBLE) END AS iot_battery_pct
FROM {{ source('bronze', 'bronze_raw_events') }}
WHERE quality_score >= 45
  AND subscriber_id IS NOT NULL
  AND event_timestamp IS NOT NULL
{% if is_incremental() %}
  AND ingested_at > (SELECT MAX(ingested_at) FROM {{ this }})
{% endif %}
