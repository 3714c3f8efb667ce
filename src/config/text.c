/* text.c - the table of options as --help, as the manual's part and as bash completion. */
#include "option.h"

#include <string.h>

#define HELP_INDENT 10
#define HELP_WIDTH 80

static bool shown(const struct option *o)
{
	return !(o->flags & OPTION_HIDDEN);
}

/* The sentences on an option: help, state, default. */
static void describe(const struct option *o, struct buf *out)
{
	buf_adds(out, o->help);
	if (o->flags & OPTION_REFUSED)
		buf_adds(out, " Not in this version: any other value than the default is refused.");
	else if (o->flags & OPTION_UNUSED)
		buf_adds(out, " Without effect in this version.");
	if (o->type != OPTION_FLAG || o->shown)
		buf_addf(out, " Default: %s.", o->shown ? o->shown : o->initial);
}

static void add_wrapped(struct buf *out, const char *text)
{
	size_t column = 0;

	while (*text) {
		size_t n = strcspn(text, " ");

		if (column && column + 1 + n > HELP_WIDTH) {
			buf_addc(out, '\n');
			column = 0;
		}
		buf_addf(out, "%*s", column ? 1 : HELP_INDENT, "");
		column += n + (column ? 1 : HELP_INDENT);
		buf_add(out, text, n);
		text += n;
		text += strspn(text, " ");
	}
	buf_addc(out, '\n');
}

void config_format_help(struct buf *out)
{
	struct buf sentences = BUF_INIT;

	buf_adds(out,
		 "usage: pailfs SOURCE MOUNTPOINT [-o OPTION[,OPTION...]]... [-f] [-d] [-v]\n"
		 "       pailfs --help | --version\n"
		 "\n"
		 "Mounts a bucket, a web server's file or folder, or a directory as files.\n"
		 "\n"
		 "SOURCE\n"
		 "    s3://BUCKET[/PREFIX]      S3, and what speaks like it\n"
		 "    https://HOST/PATH/        a web server's folder\n"
		 "    https://HOST/PATH         one file of a web server\n"
		 "    file:///PATH              a local directory\n"
		 "    direct:///PATH            the same, past the page cache (O_DIRECT)\n"
		 "    mem://                    memory, gone at unmount\n"
		 "\n"
		 "    -o OPTION,...  options as below; a comma in a value is written \\,\n"
		 "    -f             stay in the foreground\n"
		 "    -d             show FUSE's requests; in the foreground\n"
		 "    -v             log more (log_level=info)\n"
		 "\n"
		 "Options also stand in /etc/pailfs.conf and ~/.config/pailfs/config; the last\n"
		 "wins. A SIZE takes k m g t (1024), a TIME ms s m h. Unmount with\n"
		 "fusermount3 -u MOUNTPOINT or pailctl umount MOUNTPOINT.\n");
	for (const struct option_group *g = option_groups; g < option_groups + option_group_count;
	     g++) {
		buf_addf(out, "\n%s\n", g->title);
		for (const struct option *o = g->options; o < g->options + g->count; o++) {
			if (!shown(o))
				continue;
			buf_addf(out, o->argument ? "    %s=%s\n" : "    %s\n", o->name,
				 o->argument);
			buf_reset(&sentences);
			describe(o, &sentences);
			add_wrapped(out, sentences.data);
		}
	}
	buf_adds(out, "\nWords of mount(8) (nosuid, noexec, noatime, _netdev, x-...) are "
		      "understood too.\n");
	buf_release(&sentences);
}

/* mdoc wants a sentence a line, and no line that begins like a request. */
static void add_mdoc(struct buf *out, const char *text)
{
	bool fresh = true;

	for (; *text; text++) {
		if (fresh && (*text == '.' || *text == '\''))
			buf_adds(out, "\\&");
		fresh = false;
		if (*text == '\\') {
			buf_adds(out, "\\e");
		} else if (*text == '.' && text[1] == ' ') {
			buf_adds(out, ".\n");
			text++;
			fresh = true;
		} else {
			buf_addc(out, *text);
		}
	}
	buf_addc(out, '\n');
}

void config_format_manual(struct buf *out)
{
	struct buf sentences = BUF_INIT;

	for (const struct option_group *g = option_groups; g < option_groups + option_group_count;
	     g++) {
		buf_addf(out, ".Ss %s\n.Bl -tag -width Ds\n", g->title);
		for (const struct option *o = g->options; o < g->options + g->count; o++) {
			if (!shown(o))
				continue;
			buf_addf(out, o->argument ? ".It Cm %s Ns = Ns Ar %s\n" : ".It Cm %s\n",
				 o->name, o->argument);
			buf_reset(&sentences);
			describe(o, &sentences);
			add_mdoc(out, sentences.data);
		}
		buf_adds(out, ".El\n");
	}
	buf_release(&sentences);
}

void config_format_completion(struct buf *out)
{
	buf_adds(out, "# bash completion for pailfs(1); made from its table of options\n"
		      "_pailfs()\n"
		      "{\n"
		      "\tlocal word=$2 last done_part names values item\n"
		      "\tnames='");
	option_for_each(o) if (shown(o)) buf_addf(out, "%s%s ", o->name, o->argument ? "=" : "");
	buf_adds(out, "'\n"
		      "\t# The line's own words: readline breaks them at = and :.\n"
		      "\tlocal line=${COMP_LINE:0:COMP_POINT}\n"
		      "\tlast=${line##* }\n"
		      "\tCOMPREPLY=()\n"
		      "\tif [[ $line =~ \\ -o\\ ?([^\\ ]*)$ ]]; then\n"
		      "\t\tlast=${BASH_REMATCH[1]}\n"
		      "\t\titem=${last##*,}\n"
		      "\t\tcase $item in\n");
	option_for_each(o)
	{
		if (!shown(o) || !o->words)
			continue;
		buf_addf(out, "\t\t%s=*) values='", o->name);
		for (const char *s = o->words; *s; s++)
			buf_addc(out, *s == '|' ? ' ' : *s);
		buf_adds(out, "' ;;\n");
	}
	buf_adds(out, "\t\tesac\n"
		      "\t\tif [[ $item == *=* ]]; then\n"
		      "\t\t\tCOMPREPLY=($(compgen -W \"$values\" -- \"${item#*=}\"))\n"
		      "\t\telse\n"
		      "\t\t\t# What readline takes for the word may begin before the last comma.\n"
		      "\t\t\tdone_part=${word%\"$item\"}\n"
		      "\t\t\tCOMPREPLY=($(compgen -P \"$done_part\" -W \"$names\" -- \"$item\"))\n"
		      "\t\t\tcompopt -o nospace\n"
		      "\t\tfi\n"
		      "\telif [[ $last == -* ]]; then\n"
		      "\t\tCOMPREPLY=($(compgen -W '-o -f -d -v --help --version' -- \"$word\"))\n"
		      "\telse\n"
		      "\t\tCOMPREPLY=($(compgen -d -- \"$word\")\n"
		      "\t\t\t$(compgen -W 's3:// https:// http:// file:/// direct:/// mem://' -- "
		      "\"$word\"))\n"
		      "\tfi\n"
		      "}\n"
		      "complete -F _pailfs pailfs\n");
}
