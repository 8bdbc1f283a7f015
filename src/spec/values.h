/*
 * values.h - texts of a manifest as values: one function a type.
 *
 * Each returns NULL where the text is right, and otherwise what is wrong with it ("has no unit"): the caller knows
 * the field, its position and what would be right. *ret is untouched then.
 */
#ifndef TARN_SPEC_VALUES_H
#define TARN_SPEC_VALUES_H

#include <stdbool.h>
#include <stdint.h>

/* 500ms, 5s, 1m, 1h, or several with falling units: 1m30s. Milliseconds. */
const char *value_duration(const char *text, int64_t *ret_ms);
/*
 * Kubernetes' quantities (apimachinery, resource.Quantity): digits, perhaps a fraction, then Ki Mi Gi Ti Pi Ei,
 * k M G T P E, an exponent (e3, E3) or nothing. The result is a whole number of bytes or wrong; thousandths (m) are.
 */
const char *value_quantity(const char *text, int64_t *ret_bytes);
/* Kubernetes' cores: 2, 0.5 or 500m. Thousandths of a core. */
const char *value_cpu(const char *text, int64_t *ret_millis);
const char *value_integer(const char *text, int64_t *ret);
const char *value_boolean(const char *text, bool *ret);

const char *value_line(const char *text); /* not empty, no control characters */
const char *value_name(const char *text); /* a label of RFC 1123 */
const char *value_identifier(const char *text);
const char *value_table(const char *text); /* IDENTIFIER or IDENTIFIER.IDENTIFIER */
const char *value_topic(const char *text); /* Kafka's rule for topics */
const char *value_brokers(const char *text);
const char *value_number(const char *text); /* what strtod takes whole, finite */
const char *value_pointer(const char *text); /* RFC 6901 */
const char *value_endpoint(const char *text); /* of an object store */
const char *value_base_url(const char *text); /* the same with a path */
const char *value_bucket(const char *text);
const char *value_prefix(const char *text); /* of an object's key */
const char *value_url_path(const char *text); /* of an endpoint, with {NAME} as whole parts */
const char *value_column(const char *text); /* a type of kinds.def's column type */
const char *value_property(const char *text); /* the name of a Kafka property */

#endif
