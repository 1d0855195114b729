/* The OpenAPI document against the table of routes: every route is described with its
 * method and roles, nothing else is, and what the document refers to is there. */
#include <api/app.h>
#include <api/caller.h>
#include <base/embedded.h>
#include <buf.h>
#include <lib/test.h>
#include <str.h>

#include <jansson.h>

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char *const methods[] = {
	"get", "put", "post", "delete", "options", "head", "patch", "trace", NULL};

static json_t *document;

/* "/v1/contacts/{id}" and "/v1/contacts/{}" are the same pattern. */
static void
add_pattern(struct buf *out, const char *path)
{
	for (; *path; path++) {
		buf_addc(out, *path);
		if (*path != '{')
			continue;
		path += strcspn(path, "}");
		buf_addc(out, *path);
	}
}

/* "GET /v1/contacts/{}" of an operation. */
static void
make_pattern(struct buf *out, const char *method, const char *path)
{
	buf_clear(out);
	for (const char *s = method; *s; s++)
		buf_addc(out, (char)toupper((unsigned char)*s));
	buf_addc(out, ' ');
	add_pattern(out, path);
}

typedef void operation_fn(const char *pattern, const json_t *operation, void *arg);

static void
each_operation(operation_fn *fn, void *arg)
{
	const char *path;
	json_t *item;
	struct buf pattern = BUF_INIT;
	json_object_foreach(json_object_get(document, "paths"), path, item)
	{
		const char *name;
		json_t *operation;
		json_object_foreach(item, name, operation)
		{
			make_pattern(&pattern, name, path);
			fn(buf_str(&pattern), operation, arg);
		}
	}
	buf_fini(&pattern);
}

static size_t
route_number(const char *pattern)
{
	struct buf b = BUF_INIT;
	size_t n = 0;
	for (const char *route; (route = api_route_nth(n)); n++) {
		buf_clear(&b);
		add_pattern(&b, route);
		if (str_eq(buf_str(&b), pattern))
			break;
	}
	buf_fini(&b);
	return n;
}

struct search {
	const char *pattern;
	unsigned found;
};

static void
count_pattern(const char *pattern, const json_t *operation, void *arg)
{
	struct search *s = arg;
	(void)operation;
	s->found += str_eq(pattern, s->pattern);
}

static void
test_every_route_is_described(void)
{
	const char *route;
	for (size_t n = 0; (route = api_route_nth(n)); n++) {
		struct buf b = BUF_INIT;
		add_pattern(&b, route);
		struct search s = {buf_str(&b), 0};
		each_operation(count_pattern, &s);
		if (s.found != 1)
			test_fail(__FILE__, __LINE__, "%s: described %u times", route,
				s.found);
		buf_fini(&b);
	}
}

static void
check_is_route(const char *pattern, const json_t *operation, void *arg)
{
	bool known = false;
	(void)operation;
	(void)arg;
	for (size_t i = 0; methods[i]; i++)
		known |= strncasecmp(pattern, methods[i], strlen(methods[i])) == 0;
	if (!known || !api_route_nth(route_number(pattern)))
		test_fail(__FILE__, __LINE__, "%s: there is no such route", pattern);
}

static void
test_nothing_else_is_described(void)
{
	each_operation(check_is_route, NULL);
}

static unsigned
roles_of(const json_t *operation)
{
	const json_t *list = json_object_get(operation, "x-interactd-roles");
	unsigned roles = 0;
	for (size_t i = 0; i < json_array_size(list); i++)
		roles |= role_parse(json_string_value(json_array_get(list, i)));
	return json_array_size(list) ? roles : ROLE_ANYBODY;
}

static void
check_roles(const char *pattern, const json_t *operation, void *arg)
{
	const json_t *list = json_object_get(operation, "x-interactd-roles");
	const char *text = json_string_value(json_object_get(operation, "description"));
	(void)arg;
	if (roles_of(operation) != api_route_roles(route_number(pattern)))
		test_fail(__FILE__, __LINE__, "%s: other roles may call it", pattern);
	if (!text || !strstr(text, "Roles: "))
		test_fail(__FILE__, __LINE__, "%s: tells no roles", pattern);
	for (size_t i = 0; text && i < json_array_size(list); i++)
		if (!strstr(text, json_string_value(json_array_get(list, i))))
			test_fail(__FILE__, __LINE__, "%s: its text misses a role",
				pattern);
	/* No key needed is said as such, and of nothing else. */
	if (!json_array_size(list) != !!json_object_get(operation, "security"))
		test_fail(__FILE__, __LINE__, "%s: security", pattern);
}

/* How it keeps the sight of who may see some contacts only; absent: closed to them. */
static void
check_sight(const char *pattern, const json_t *operation, void *arg)
{
	const json_t *sight = json_object_get(operation, "x-interactd-sight");
	(void)arg;
	if (!str_eq(json_string_value(sight), api_route_sight(route_number(pattern))))
		test_fail(__FILE__, __LINE__, "%s: x-interactd-sight", pattern);
}

static void
test_sights_are_those_of_the_table(void)
{
	each_operation(check_sight, NULL);
	CHECK_STR(api_route_sight(route_number("GET /v1/contacts/{}")), "kept");
	CHECK(!api_route_sight(route_number("GET /v1/audit")));
}

static void
test_roles_are_those_of_the_table(void)
{
	each_operation(check_roles, NULL);
}

static void
check_operation(const char *pattern, const json_t *operation, void *arg)
{
	json_t *ids = arg;
	const char *id = json_string_value(json_object_get(operation, "operationId"));
	if (!id || json_object_get(ids, id))
		test_fail(__FILE__, __LINE__, "%s: operationId", pattern);
	else
		json_object_set_new(ids, id, json_true());
	if (!json_string_value(json_object_get(operation, "summary")))
		test_fail(__FILE__, __LINE__, "%s: has no summary", pattern);
	if (!json_object_size(json_object_get(operation, "responses")))
		test_fail(__FILE__, __LINE__, "%s: has no responses", pattern);
}

static void
test_operations_are_named_and_answered(void)
{
	json_t *ids = json_object();
	each_operation(check_operation, ids);
	json_decref(ids);
}

/* "#/components/schemas/Pop" */
static bool
resolves(const char *ref)
{
	char word[128];
	const json_t *at = document;
	if (!str_starts(ref, "#/"))
		return false;
	for (ref += 2; *ref && at;
		ref += ref[strcspn(ref, "/")] ? strcspn(ref, "/") + 1 : strlen(ref)) {
		snprintf(word, sizeof(word), "%.*s", (int)strcspn(ref, "/"), ref);
		at = json_object_get(at, word);
	}
	return at;
}

static void
check_refs(const json_t *value)
{
	const char *name;
	json_t *member;
	if (json_is_object(value)) {
		json_object_foreach((json_t *)(uintptr_t)value, name, member)
		{
			if (str_eq(name, "$ref") &&
				!resolves(json_string_value(member)))
				test_fail(__FILE__, __LINE__, "%s leads nowhere",
					json_string_value(member));
			check_refs(member);
		}
	}
	for (size_t i = 0; i < json_array_size(value); i++)
		check_refs(json_array_get(value, i));
}

static void
test_references_lead_somewhere(void)
{
	check_refs(document);
	CHECK(!resolves("#/components/schemas/Nothing"));
}

/* Every {name} of a path is among its parameters. */
static void
check_path_parameters(const char *path, const json_t *operation)
{
	const json_t *list = json_object_get(operation, "parameters");
	size_t braces = 0, found = 0;
	for (const char *s = path; *s; s++)
		braces += *s == '{';
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *p = json_array_get(list, i);
		const char *ref = json_string_value(json_object_get(p, "$ref"));
		char name[64] = "";
		if (ref)
			str_copy(name, sizeof(name), strrchr(ref, '/') + 1);
		if (ref)
			p = json_object_get(
				json_object_get(json_object_get(document, "components"),
					"parameters"),
				name);
		found += str_eq(json_string_value(json_object_get(p, "in")), "path");
	}
	if (found != braces)
		test_fail(__FILE__, __LINE__, "%s: %zu path parameters for %zu", path,
			found, braces);
}

static void
test_path_parameters_are_described(void)
{
	const char *path, *method;
	json_t *item, *operation;
	json_object_foreach(json_object_get(document, "paths"), path, item)
	{
		json_object_foreach(item, method, operation)
			check_path_parameters(path, operation);
	}
}

int
main(void)
{
	const struct embedded *f = embedded_find("daemon/api/openapi.json");
	json_error_t why;
	document = f ? json_loadb(f->data, f->len, JSON_REJECT_DUPLICATES, &why) : NULL;
	if (!document) {
		fprintf(stderr, "openapi.json: %s\n", f ? why.text : "is not embedded");
		return 1;
	}
	TEST(test_every_route_is_described);
	TEST(test_nothing_else_is_described);
	TEST(test_roles_are_those_of_the_table);
	TEST(test_sights_are_those_of_the_table);
	TEST(test_operations_are_named_and_answered);
	TEST(test_references_lead_somewhere);
	TEST(test_path_parameters_are_described);
	json_decref(document);
	return test_done();
}
