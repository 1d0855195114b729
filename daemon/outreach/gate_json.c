/* gate_json.c - see gate_json.h. */
#include <outreach/gate_json.h>

static void
put_identity(struct json_out *j, const struct gate_address *a)
{
	json_put_object(j, "identity");
	json_put_string(j, "kind", a->kind);
	json_put_string(j, "value", a->value);
	json_put_object_end(j);
}

static const struct gate_address *
address_of(const struct gate_contact *c, int address)
{
	return address >= 0 && c->addresses[address].value ? &c->addresses[address]
							   : NULL;
}

static void
put_considered(struct json_out *j, const struct gate_considered *w,
	const struct gate_rules *rules, const struct gate_contact *c)
{
	const struct gate_address *a = address_of(c, w->address);

	json_put_object(j, NULL);
	json_put_string(j, "kind", rules->kinds[w->kind].name);
	if (a)
		put_identity(j, a);
	json_put_string(j, "reason", gate_reason_text(w->reason));
	json_put_string(j, "text", gate_reason_sentence(w->reason));
	if (w->until_us)
		json_put_time(j, "until", w->until_us);
	json_put_object_end(j);
}

void
gate_decision_put(struct json_out *j, const char *key, const struct gate_decision *d,
	const struct gate_rules *rules, const struct gate_contact *c)
{
	const struct gate_address *a = address_of(c, d->address);

	json_put_object(j, key);
	json_put_bool(j, "allowed", d->verdict == GATE_GO);
	json_put_string(j, "kind", d->kind >= 0 ? rules->kinds[d->kind].name : NULL);
	if (a)
		put_identity(j, a);
	else
		json_put_null(j, "identity");
	json_put_string(j, "reason", gate_reason_text(d->reason));
	json_put_string(j, "text", gate_reason_sentence(d->reason));
	json_put_time(j, "until", d->until_us);
	json_put_array(j, "considered");
	for (size_t i = 0; i < d->n_considered; i++)
		put_considered(j, &d->considered[i], rules, c);
	json_put_array_end(j);
	json_put_object_end(j);
}
