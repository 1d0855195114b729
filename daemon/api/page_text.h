/* page_text.h - all that the customer's page says, in each of its languages. */
#ifndef INTERACTD_API_PAGE_TEXT_H
#define INTERACTD_API_PAGE_TEXT_H

#include <stdbool.h>

enum page_lang { PAGE_EN, PAGE_ZH_CN, PAGE_LANGS };

/* One row per text: name, English, Chinese (simplified). HTML, as it goes out. */
/* clang-format off */
#define PAGE_TEXTS(T) \
	T(TITLE, "Your contact preferences", "您的联系方式设置") \
	T(OTHER_LANG, "中文", "English") \
	T(INTRO, "Here you decide how we may reach you. This link is yours alone: please do not pass it on.", \
		"您可以在这里决定我们如何与您联系。此链接仅供您本人使用，请勿转发。") \
	T(SENT_TO, "This page is for", "本页适用于") \
	T(WAYS, "Which way, for what", "联系方式与用途") \
	T(WAYS_HELP, "Where neither is chosen you have not told us. Then we write only what your orders and questions need, and advertising only where the law allows it.", \
		"未选择的项目表示您尚未告知我们。此时我们只发送与您的订单和咨询有关的内容，广告仅在法律允许时发送。") \
	T(YES, "Yes", "可以") \
	T(NO, "No", "不要") \
	T(TRANSACTIONAL, "Orders and contracts", "订单与合同") \
	T(SERVICE, "Service and answers", "服务与答复") \
	T(SURVEY, "Surveys", "满意度调查") \
	T(MARKETING, "Offers and advertising", "优惠与广告") \
	T(SMS, "SMS", "短信") \
	T(PHONE, "Phone call", "电话") \
	T(EMAIL, "E-mail", "电子邮件") \
	T(CHAT, "Chat", "在线聊天") \
	T(LETTER, "Letter", "信函") \
	T(FAX, "Fax", "传真") \
	T(VISIT, "Visit", "上门拜访") \
	T(NOTE, "Note", "备注") \
	T(CALL, "Calls", "通话") \
	T(OTHER_KIND, "Other", "其他") \
	T(ALSO_DENIED, "You have also declined:", "您还拒绝了：") \
	T(PREFERRED, "I would rather be reached by", "我更希望通过以下方式联系") \
	T(NO_PREFERENCE, "No preference", "没有特别要求") \
	T(QUIET, "Quiet hours", "免打扰时段") \
	T(QUIET_HELP, "At these times we leave you alone. Leave a line empty to drop it. Time zone:", \
		"在这些时段我们不会打扰您。清空一行即可取消。时区：") \
	T(QUIET_MANY, "Your quiet hours have more lines than this page shows; please ask us to change them.", \
		"您的免打扰时段较多，本页无法显示；如需修改请与我们联系。") \
	T(DAYS, "Days", "日期") \
	T(FROM, "From", "开始") \
	T(TO, "To", "结束") \
	T(NO_DAYS, "None", "无") \
	T(EVERY_DAY, "Every day", "每天") \
	T(WORK_DAYS, "Monday to Friday", "周一至周五") \
	T(WEEKEND, "Saturday and Sunday", "周六和周日") \
	T(MON, "Monday", "周一") T(TUE, "Tuesday", "周二") T(WED, "Wednesday", "周三") \
	T(THU, "Thursday", "周四") T(FRI, "Friday", "周五") T(SAT, "Saturday", "周六") \
	T(SUN, "Sunday", "周日") \
	T(SAVE, "Save", "保存") \
	T(STOP_TITLE, "Stop everything", "停止一切联系") \
	T(STOP_HELP, "We will not write to you or call you any more, by any way and for any purpose.", \
		"我们将不再以任何方式、出于任何目的与您联系。") \
	T(STOP, "Stop everything", "停止一切联系") \
	T(STOPPED_NOW, "You have told us to stop everything: we do not contact you.", \
		"您已要求停止一切联系：我们不会与您联系。") \
	T(RESUME, "You may contact me again", "恢复联系") \
	T(RESUME_HELP, "What you chose above applies again then.", "恢复后，以上设置重新生效。") \
	T(HELD, "What we hold about you", "我们保存的您的信息") \
	T(NAME, "Name", "姓名") \
	T(ADDRESS_PHONE, "Number", "电话号码") \
	T(ADDRESS_EMAIL, "E-mail address", "邮箱地址") \
	T(ADDRESS_OTHER, "Other identifier", "其他标识") \
	T(HELD_HISTORY, "What happened between us: how many, and the last", "往来记录：数量及最近一次") \
	T(HELD_NOTHING, "Nothing is recorded.", "没有记录。") \
	T(HELD_HELP, "Addresses are shortened, as links can be forwarded. If you want a full copy, ask us by the way you know: we answer once we know that it is you.", \
		"由于链接可能被转发，地址已部分隐藏。如需完整副本，请通过您熟悉的方式联系我们，核实身份后我们会提供。") \
	T(ERASE_TITLE, "Ask for erasure", "请求删除个人信息") \
	T(ERASE_HELP, "We then erase what we hold about you, except what the law makes us keep. A member of our staff checks the request first. It cannot be undone.", \
		"我们将删除所保存的您的信息，法律要求保留的除外。工作人员会先核实您的请求。删除后无法恢复。") \
	T(ERASE_AGREE, "Yes, I ask for my data to be erased", "是的，我请求删除我的信息") \
	T(ERASE, "Send the request", "提交请求") \
	T(ERASE_ASKED, "You asked for erasure on", "您已请求删除，日期：") \
	T(VALID_UNTIL, "This link is valid until", "此链接有效期至") \
	T(DONE_SAVED, "Saved. Thank you.", "已保存，谢谢。") \
	T(DONE_STOPPED, "Done: we will leave you alone.", "已完成：我们不会再打扰您。") \
	T(DONE_RESUMED, "Done: we may contact you again.", "已完成：我们可以再次与您联系。") \
	T(DONE_ASKED, "Your request has reached us.", "我们已收到您的请求。") \
	T(WRONG_QUIET, "Nothing was saved: quiet hours need days, a beginning and another end.", \
		"未保存：免打扰时段需要填写日期、开始时间和不同的结束时间。") \
	T(WRONG_AGREE, "Please tick the box if you ask for erasure.", "如需删除，请勾选确认框。") \
	T(WRONG_FORM, "Nothing was saved: this page was open for too long, or the form was not ours. Please try again.", \
		"未保存：页面打开时间过长，或表单无效。请重试。") \
	T(WRONG_SAVE, "Nothing was saved: what was chosen cannot be kept.", "未保存：所选内容无法保存。") \
	T(GONE_TITLE, "This link is not valid any more", "此链接已失效") \
	T(GONE, "Please use the link in our latest message, or ask us for a new one.", \
		"请使用我们最近一条消息中的链接，或向我们索取新链接。") \
	T(UNKNOWN_TITLE, "There is no page here", "页面不存在") \
	T(UNKNOWN, "Perhaps the link was cut off. Please open it as it stands in our message.", \
		"链接可能不完整。请从我们的消息中直接打开。") \
	T(BUSY_TITLE, "Please wait a little", "请稍候") \
	T(BUSY, "There were too many attempts from your network. Try again in some minutes.", \
		"来自您网络的尝试次数过多，请几分钟后再试。") \
	T(AWAY_TITLE, "Please try again soon", "请稍后再试") \
	T(AWAY, "We cannot reach your settings at the moment. Nothing was changed.", \
		"目前无法读取您的设置，未作任何更改。")
/* clang-format on */

enum page_text {
#define T(name, en, zh) PAGE_TEXT_##name,
	PAGE_TEXTS(T)
#undef T
		PAGE_TEXT_COUNT
};

const char *page_text(enum page_lang, enum page_text);
const char *page_lang_tag(enum page_lang); /* "en", "zh-CN" */
/* A language tag (BCP 47: zh, zh-Hans-CN, en-GB); false if it is none of ours. */
bool page_lang_parse(const char *tag, enum page_lang *out_r);
/* The best of ours in an Accept-Language (RFC 9110 §12.5.4; NULL: none sent); false if
 * it names none of them. */
bool page_lang_accept(const char *header, enum page_lang *out_r);

#endif
